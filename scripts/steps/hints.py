"""The command that installs what is missing, for this machine's package manager."""

import os
import shutil

# Runs on any Python 3: the message about a missing 3.11 uses it too.
COMMANDS = {
    "apt-get": {
        "python": "apt-get install -y python3.11 python3.11-venv",
        "venv": "apt-get install -y python3.11-venv",
        "compiler": "apt-get install -y g++ make",
        "cmake": "apt-get install -y cmake",
        "java": "apt-get install -y openjdk-17-jre-headless",
    },
    "dnf": {
        "python": "dnf install -y python3.11",
        "venv": "dnf install -y python3.11",
        "compiler": "dnf install -y gcc-c++ make",
        "cmake": "dnf install -y cmake",
        "java": "dnf install -y java-17-openjdk-headless",
    },
    "zypper": {
        "python": "zypper install -y python311",
        "venv": "zypper install -y python311",
        "compiler": "zypper install -y gcc-c++ make",
        "cmake": "zypper install -y cmake",
        "java": "zypper install -y java-17-openjdk-headless",
    },
    "brew": {
        "python": "brew install python@3.11",
        "venv": "brew install python@3.11",
        "compiler": "xcode-select --install",
        "cmake": "brew install cmake",
        "java": "brew install openjdk@17",
    },
}

ANYWHERE = {
    "python": "python3 -m pip install --user uv && python3 -m uv python install 3.11",
    "venv": "python3 -m pip install --user uv && python3 -m uv python install 3.11",
    "compiler": "install g++ or clang++ and make with your system's package manager",
    "cmake": "python3.11 -m pip install --user cmake  (and put ~/.local/bin in PATH)",
    "java": "install a Java runtime, 17 or newer, and set JAVA_HOME to its folder",
}


def install(what):
    """The command for `what`: with sudo where that is needed, and one that needs no rights."""
    for manager, commands in COMMANDS.items():
        if shutil.which(manager):
            command = commands[what]
            if manager != "brew" and os.geteuid() != 0:
                command = "sudo " + command
            if what in ("python", "cmake"):
                command += "\n  or: " + ANYWHERE[what]
            return command
    return ANYWHERE[what]
