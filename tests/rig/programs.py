"""Programs of Debian's packages that tests run."""

import os
import shutil

_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where packages put daemons, and where an ordinary user's PATH does not look."""


def find_program(name: str) -> str:
    """Its path, also where it is in a folder that only root's PATH has.

    Raises:
        FileNotFoundError: it is not installed.
    """
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    found = shutil.which(name, path=folders)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; `tests/run install` does that")
    return found
