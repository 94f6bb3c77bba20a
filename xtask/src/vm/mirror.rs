//! Packages of other Debian suites than this system's: by lists of our own, so
//! that nothing of the system changes. The mirror is the system's, asked for when
//! it is needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{setup, workspace};

/// The packages of some suites.
pub(crate) struct Mirror {
    /// The lists and their settings, gone when this is dropped.
    folder: TempDir,
}

impl Mirror {
    /// Fetches the lists of suites. One that the mirror lacks is only missed
    /// where a package is.
    pub(crate) fn open(suites: &[String]) -> Result<Self> {
        if setup::on_path("apt-get").is_none() || setup::on_path("dpkg-deb").is_none() {
            bail!("this machine has no apt-get: name an unpacked kernel, or use a Debian machine");
        }
        let asked = Command::new("apt-get")
            .args(["--print-uris", "update"])
            .stderr(Stdio::inherit())
            .output()
            .context("asking apt for its mirrors")?;
        let bases = Bases::read(&String::from_utf8_lossy(&asked.stdout), &codename()?)?;
        let tools = workspace::tools();
        fs::create_dir_all(&tools).with_context(|| format!("making {}", tools.display()))?;
        let folder = TempDir::with_prefix_in("apt-", &tools).context("making a folder for apt")?;
        let mirror = Self { folder };
        for needed in ["lists/partial", "cache/archives/partial"] {
            let needed = mirror.path(needed);
            fs::create_dir_all(&needed).with_context(|| format!("making {}", needed.display()))?;
        }
        let list = mirror.path("sources.list");
        fs::write(&list, bases.list(suites))
            .with_context(|| format!("writing {}", list.display()))?;
        if let Err(error) = workspace::run(mirror.apt("apt-get").arg("update")) {
            eprintln!("setup: not every list could be had: {error:#}");
        }
        Ok(mirror)
    }

    /// The names of all packages that begin so.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let output = self
            .apt("apt-cache")
            .args(["pkgnames", prefix])
            .stderr(Stdio::inherit())
            .output()
            .context("asking apt for packages")?;
        let names = String::from_utf8_lossy(&output.stdout);
        Ok(names.lines().map(String::from).collect())
    }

    /// Unpacks packages into a folder, and nothing of what they need.
    pub(crate) fn unpack(&self, packages: &[String], folder: &Path) -> Result<()> {
        let archives = self.path("cache/archives");
        workspace::run(
            self.apt("apt-get")
                .arg("download")
                .args(packages)
                .current_dir(&archives),
        )?;
        unpack_all(&archives, folder)
    }

    /// Unpacks a package into a folder, and what this system lacks of what it
    /// needs, taking the newest of a suite.
    pub(crate) fn unpack_with_needs(
        &self,
        package: &str,
        suite: &str,
        folder: &Path,
    ) -> Result<()> {
        workspace::run(
            self.apt("apt-get")
                .args(["install", "--download-only", "--yes"])
                .args(["--no-install-recommends", "--target-release", suite])
                .arg(package)
                // apt says what it would install, and doesn't.
                .stdout(Stdio::null()),
        )?;
        unpack_all(&self.path("cache/archives"), folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn apt(&self, command: &str) -> Command {
        let mut apt = Command::new(command);
        let own = |setting: &str, name: &str| format!("{setting}={}", self.path(name).display());
        apt.args(["-qq", "-o", "Dir::Etc::sourceparts=-"])
            .args(["-o", &own("Dir::Etc::sourcelist", "sources.list")])
            .args(["-o", &own("Dir::State::lists", "lists")])
            .args(["-o", &own("Dir::Cache", "cache")])
            // In some containers what was downloaded is removed at once.
            .args(["-o", "APT::Update::Post-Invoke="])
            .args(["-o", "DPkg::Post-Invoke="])
            .args(["-o", "Acquire::Languages=none"])
            .args([
                "-o",
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            ])
            // apt's own user may not write here, and the system isn't touched.
            .args([
                "-o",
                "APT::Sandbox::User=root",
                "-o",
                "Debug::NoLocking=true",
            ])
            .env("DEBIAN_FRONTEND", "noninteractive");
        apt
    }
}

/// Unpacks every package that lies in a folder, and removes it there.
fn unpack_all(archives: &Path, folder: &Path) -> Result<()> {
    let files =
        fs::read_dir(archives).with_context(|| format!("reading {}", archives.display()))?;
    for file in files {
        let file = file.context("reading a folder")?.path();
        if file.extension().is_some_and(|end| end == "deb") {
            workspace::run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(folder))?;
            fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        }
    }
    Ok(())
}

/// The mirror from which the system gets Debian.
#[derive(Debug, PartialEq, Eq)]
struct Bases {
    main: String,
    security: Option<String>,
}

impl Bases {
    /// Reads them from what `apt-get --print-uris update` says.
    fn read(uris: &str, codename: &str) -> Result<Self> {
        let of = |suite: &str| {
            // Others have suites of this name, too, but no component `main` in them.
            let part = format!("/dists/{suite}/main/");
            uris.lines()
                .find_map(|line| line.strip_prefix('\'')?.split_once(&part))
                .map(|(base, _)| base.to_owned())
        };
        Ok(Self {
            main: of(codename)
                .with_context(|| format!("apt's sources have no Debian {codename}"))?,
            security: of(&format!("{codename}-security")),
        })
    }

    /// A list of sources for suites.
    fn list(&self, suites: &[String]) -> String {
        let key = if Path::new(KEYS).exists() {
            format!("[signed-by={KEYS}] ")
        } else {
            String::new()
        };
        let line = |suite: &String| {
            let base = if suite.ends_with("-security") {
                self.security.as_ref()?
            } else {
                &self.main
            };
            Some(format!("deb {key}{base} {suite} main\n"))
        };
        suites.iter().filter_map(line).collect()
    }
}

/// The name of this system's suite.
pub(crate) fn codename() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .context("/etc/os-release doesn't name a suite")
}

/// Of the package debian-archive-keyring, which every Debian has.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

#[cfg(test)]
mod tests {
    use super::*;

    const URIS: &str = "\
'https://tools.example/linux/debian/dists/bookworm/InRelease' a 0
'https://tools.example/linux/debian/dists/bookworm/stable/binary-amd64/Packages.xz' b 0
'http://mirror.example/debian/dists/bookworm/InRelease' c 0
'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' d 0
'http://mirror.example/safe/dists/bookworm-security/main/binary-amd64/Packages.xz' e 0
";

    #[test]
    fn debian_is_told_from_others_that_have_a_suite_of_its_name() {
        let bases = Bases::read(URIS, "bookworm").expect("it is there");
        assert_eq!(bases.main, "http://mirror.example/debian");
        assert_eq!(
            bases.security.as_deref(),
            Some("http://mirror.example/safe")
        );
        Bases::read(URIS, "trixie").expect_err("it isn't there");
    }

    #[test]
    fn security_has_a_base_of_its_own_or_is_left_out() {
        let suites = ["trixie-security", "sid"].map(String::from);
        let mut bases = Bases::read(URIS, "bookworm").expect("it is there");
        let list = bases.list(&suites);
        assert!(list.contains("http://mirror.example/safe trixie-security main\n"));
        assert!(list.contains("http://mirror.example/debian sid main\n"));
        bases.security = None;
        assert_eq!(bases.list(&suites).lines().count(), 1);
    }
}
