//! The real QUIC client and server of the tests: aioquic, from Python's registry,
//! in the target folder.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::{installed, on_path, say};
use crate::workspace;

/// Puts aioquic into the target folder, if it isn't there yet, and before that
/// Python with pip where they are missing. Nothing else is installed.
pub(super) fn aioquic() -> Result<()> {
    let own = workspace::unpacked("aioquic");
    let list = workspace::root().join("tests/quic/requirements.txt");
    let wanted = fs::read_to_string(&list).context("reading which versions of aioquic are used")?;
    // It has parts in machine code, which are one Python's only.
    let imports = || {
        let mut python = Command::new("python3");
        python.args(["-c", "import aioquic.asyncio"]);
        answers(python.env("PYTHONPATH", &own))
    };
    let kept = own.join("requirements.txt");
    if fs::read_to_string(&kept).is_ok_and(|has| has == wanted) && imports() {
        return Ok(());
    }
    pip()?;
    say("putting aioquic and what it needs into the target folder (6 MB, 22 unpacked)");
    let folder = own.with_extension("new");
    for old in [&folder, &own] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("removing {}", old.display()))?;
        }
    }
    let mut python = Command::new("python3");
    python
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--root-user-action=ignore"])
        .arg("--target")
        .arg(&folder)
        .arg("--requirement")
        .arg(&list);
    workspace::run(&mut python)?;
    fs::copy(&list, folder.join("requirements.txt")).context("noting what was installed")?;
    fs::rename(&folder, &own).with_context(|| format!("making {}", own.display()))?;
    ensure!(imports(), "python3 can't import what pip installed");
    Ok(())
}

/// Debian's pip, where the Python on the path has none. It brings Python.
fn pip() -> Result<()> {
    if on_path("python3").is_some() && answers(Command::new("python3").args(["-m", "pip", "-V"])) {
        return Ok(());
    }
    installed(&["python3", "python3-pip"])
}

fn answers(command: &mut Command) -> bool {
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output();
    output.is_ok_and(|output| output.status.success())
}
