//! QEMU: the one on the path if it is new enough, or Debian's packages unpacked.

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::mirror::{Mirror, codename};
use crate::{setup, workspace};

/// A QEMU that works without any acceleration.
pub(crate) struct Qemu {
    program: PathBuf,
    /// The folder it was unpacked into, if it was.
    unpacked: Option<PathBuf>,
}

impl Qemu {
    /// Looks for one, and unpacks one if there is none.
    pub(crate) fn find() -> Result<Self> {
        if let Some(program) = setup::on_path(PROGRAM).filter(|program| is_new(program)) {
            return Ok(Self {
                program,
                unpacked: None,
            });
        }
        let folder = workspace::unpacked("qemu");
        let program = folder.join("usr/bin").join(PROGRAM);
        if !program.is_file() {
            unpack(&folder)?;
        }
        Ok(Self {
            program,
            unpacked: Some(folder),
        })
    }

    /// A machine of one CPU with two network cards on one hub, the console in a
    /// file, and the reports on its standard output.
    fn machine(&self, image: &Path, root: &Path, console: &Path) -> Command {
        let mut qemu = Command::new(&self.program);
        if let Some(folder) = &self.unpacked {
            // Where Debian puts them, on other machines than x86-64 never.
            let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
            let libraries = env::join_paths(libraries.map(|path| folder.join(path)));
            qemu.env("LD_LIBRARY_PATH", libraries.unwrap_or_default());
            for data in ["usr/share/qemu", "usr/share/seabios"] {
                qemu.arg("-L").arg(folder.join(data));
            }
        }
        // Emulated even where there is KVM, so that it is the same everywhere.
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "Nehalem"])
            .args(["-smp", "1", "-m", MEMORY])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-monitor", "none"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(["-serial", "stdio"]);
        for card in ["0", "1"] {
            qemu.args(["-netdev", &format!("hubport,id=wire{card},hubid=0")])
                .arg("-device")
                // Nobody boots from it, and the file would be one more package's.
                .arg(format!("virtio-net-pci,netdev=wire{card},romfile="));
        }
        qemu.arg("-kernel").arg(image).arg("-initrd").arg(root);
        qemu.args(["-append", KERNEL_LINE]);
        qemu
    }

    /// Boots a kernel and hands over what is reported, line by line, until the
    /// machine switches itself off. `false`: it didn't in time.
    pub(crate) fn run(
        &self,
        image: &Path,
        root: &Path,
        logs: &Logs,
        mut line: impl FnMut(&str),
    ) -> Result<bool> {
        let mut log = File::create(&logs.report)
            .with_context(|| format!("writing {}", logs.report.display()))?;
        let mut machine = self
            .machine(image, root, &logs.console)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&logs.qemu).context("writing a log of QEMU")?)
            .spawn()
            .context("starting QEMU")?;
        let output = machine.stdout.take().context("it was asked for")?;
        let (sender, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            // Read to the end even if nobody wants it any more.
            for bytes in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let _nobody_waits = sender.send(String::from_utf8_lossy(&bytes).into_owned());
            }
        });
        let end = Instant::now() + MOST;
        let in_time = loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(reported) => {
                    writeln!(log, "{}", reported.trim_end_matches('\r'))
                        .with_context(|| format!("writing {}", logs.report.display()))?;
                    line(&reported);
                }
                Err(RecvTimeoutError::Disconnected) => break true,
                Err(RecvTimeoutError::Timeout) => {
                    kill(&mut machine)?;
                    break false;
                }
            }
        };
        reader.join().ok().context("reading what QEMU reports")?;
        let status = machine.wait().context("waiting for QEMU")?;
        ensure!(
            !in_time || status.success(),
            "QEMU failed ({status}): {}",
            fs::read_to_string(&logs.qemu).unwrap_or_default().trim()
        );
        Ok(in_time)
    }
}

/// The files that keep a machine's output.
pub(crate) struct Logs {
    /// The output of its steps.
    pub(crate) report: PathBuf,
    /// The output of its kernel.
    pub(crate) console: PathBuf,
    /// The output of QEMU itself.
    pub(crate) qemu: PathBuf,
}

fn kill(machine: &mut Child) -> Result<()> {
    machine.kill().context("killing QEMU")
}

/// Whether it is of a version that emulates a kernel under load: Debian 12's 7.2
/// has double faults.
fn is_new(program: &Path) -> bool {
    let said = Command::new(program).arg("--version").output();
    said.is_ok_and(|said| {
        major(&String::from_utf8_lossy(&said.stdout)).is_some_and(|major| major >= OLDEST)
    })
}

/// The first number of a version as QEMU tells it.
fn major(said: &str) -> Option<u32> {
    let version = said.strip_prefix("QEMU emulator version ")?;
    version.split('.').next()?.parse().ok()
}

fn unpack(folder: &Path) -> Result<()> {
    let codename = codename()?;
    let backports = format!("{codename}-backports");
    setup::say("unpacking QEMU and its libraries into the target folder (45 MB, 105 unpacked)");
    let suites = [
        codename.clone(),
        format!("{codename}-security"),
        backports.clone(),
    ];
    let mirror = Mirror::open(&suites)?;
    let new = folder.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("removing {}", new.display()))?;
    }
    mirror.unpack_with_needs("qemu-system-x86", &backports, &new)?;
    ensure!(
        new.join("usr/bin").join(PROGRAM).is_file(),
        "the package qemu-system-x86 has no {PROGRAM}"
    );
    fs::rename(&new, folder).with_context(|| format!("making {}", folder.display()))
}

const PROGRAM: &str = "qemu-system-x86_64";
const OLDEST: u32 = 10;

/// In MiB: the first file system lies in it.
const MEMORY: &str = "1536";

/// A panic ends the machine at once, since it doesn't reboot.
const KERNEL_LINE: &str = "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off";

/// Several times what the slowest kernel takes on a machine that does nothing else.
const MOST: Duration = Duration::from_secs(480);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_as_qemu_tells_it() {
        assert_eq!(
            major("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\n"),
            Some(10)
        );
        assert_eq!(major("QEMU emulator version 7.2.22"), Some(7));
        assert_eq!(major("bochs 2"), None);
    }
}
