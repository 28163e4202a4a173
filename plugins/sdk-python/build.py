"""Makes a component of a context written in Python: `python3 plugins/sdk-python/build.py CONTEXT-FOLDER COMPONENT.wasm`, in the
project's folder.

CONTEXT-FOLDER holds `context.wit`, whose one world `context` is the component's, and `app.py`, whose classes implement what the world
exports. The packages in the project's `wit` can be named in it. The toolchain is installed once, below `.tools`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SDK = Path(__file__).resolve().parent
REQUIREMENTS = SDK / "requirements.txt"


def main() -> int:
    if len(sys.argv) != 3:
        return trouble("no context or no component named", "python3 build.py CONTEXT-FOLDER COMPONENT.wasm")
    folder, component = Path(sys.argv[1]), Path(sys.argv[2])
    python = installed(Path(".tools/python"))
    if python is None:
        return 1
    # Under its name when it is whole, or not at all.
    partial = component.with_name(f".{component.name}.{os.getpid()}.tmp")
    command = [python, "-c", "from componentize_py import script; script()", "--quiet", "-w", "context"]
    with tempfile.TemporaryDirectory(prefix="build-", dir=Path(".tools/python")) as made:
        # Of copies: the toolchain's Python leaves its byte code beside what it loads.
        wit, own, sdk = (Path(made) / name for name in ("wit", "context", "sdk"))
        interfaces(folder, wit)
        for source, copy in [(folder, own), (SDK / "seam_sdk", sdk / "seam_sdk")]:
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        command += ["-d", wit, "componentize", "-p", own, "-p", sdk, "-o", partial, "app"]
        ended = subprocess.run(command)
    if ended.returncode != 0:
        partial.unlink(missing_ok=True)
        return trouble(f"`{folder}` does not become a component", "the first error above says why")
    partial.replace(component)
    return 0


def interfaces(folder: Path, to: Path) -> None:
    """The world and the packages that it may name, as the toolchain wants them: one folder with `deps` below it."""
    to.mkdir()
    shutil.copy(folder / "context.wit", to)
    for package in Path("wit").iterdir():
        files = [] if package.name == "deps" else list(package.glob("*.wit"))
        for file in files:
            (to / "deps" / package.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to / "deps" / package.name)


def installed(below: Path) -> Path | None:
    """The Python that has the toolchain; it exists when it is whole. Two builds at once install twice, and one of the two stays."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = below / f"{version}-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}"
    python = folder / "bin/python"
    if folder.exists():
        return python
    print(f"installing the tools for Python into {below} (once, 70 MB from PyPI)", file=sys.stderr)
    below.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="install-", dir=below))
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", REQUIREMENTS]
    try:
        if subprocess.run([sys.executable, "-m", "venv", partial], stdout=sys.stderr).returncode != 0:
            trouble("python3 makes no virtual environment", "on Debian and Ubuntu that is the package python3-venv: `seam doctor --fix`")
            return None
        if subprocess.run([partial / "bin/python", *pip], stdout=sys.stderr).returncode != 0:
            trouble("pip could not install the tools for Python", "the packages come from the index that pip is set to")
            return None
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # Else another build was first.
                raise
        return python
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def trouble(what: str, hint: str) -> int:
    print(f"error: {what}\nhint: {hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
