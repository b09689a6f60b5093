"""How pip gets to its index on this machine, for a pip that runs in a container's build.

Proxies are none of it: buildah hands those on by itself.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_WANTED = ("cert", "client-cert", "default-timeout", "extra-index-url", "index-url", "proxy",
           "retries", "timeout", "trusted-host")  # fmt: skip


def write(file: Path) -> list[tuple[Path, str]]:
    """Writes a pip.conf of all that pip is told here, by files and by its environment.

    Returns:
        What to mount, and where: that file, and those that it names.
    """
    settings = _settings()
    lines = [f"{key} = {' '.join(value.split())}" for key, value in settings.items()]
    file.write_text("\n".join(["[global]", *lines, ""]))
    named = [Path(value) for key, value in settings.items() if key.endswith("cert")]
    return [(file, "/etc/pip.conf"), *((path, str(path)) for path in named if path.is_file())]


def _settings() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings: dict[str, str] = {}
    for name in _CA_VARIABLES:
        if bundle := os.environ.get(name):
            settings.setdefault("cert", bundle)
    # The environment, which beats the files, is listed first.
    for line in reversed(listed.splitlines()):
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in _WANTED:
            settings[key] = str(ast.literal_eval(value))
    return settings
