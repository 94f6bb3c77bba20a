//! The first file system of a virtual machine: the tests, the daemon, the few
//! commands that they call, all of them as they are on this machine, with their
//! shared libraries.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{cpio::Archive, kernels::Kernel, steps};
use crate::{setup, workspace};

/// Builds what runs in the machines, and gives back the part of their file system
/// that they have in common.
pub(crate) fn common() -> Result<Vec<u8>> {
    workspace::build_daemon()?;
    let programs = [
        (steps::TESTS, test_program()?),
        (steps::DAEMON, workspace::daemon()),
        (steps::VERIFY, workspace::tool(steps::VERIFY)),
    ];

    let mut archive = Archive::new(Vec::new());
    let mut libraries = BTreeSet::new();
    let folder = tempfile::TempDir::with_prefix_in("vm-", workspace::tools())
        .context("making a folder for programs")?;
    let guest = workspace::tool(GUEST);
    let first = ("/init".to_owned(), &guest);
    let rest = programs
        .iter()
        .map(|(name, file)| (steps::place(name), file));
    for (place, file) in std::iter::once(first).chain(rest) {
        libraries.extend(libraries_of(file)?);
        let bare = folder.path().join("bare");
        // Names of functions are half of a program, and would be loaded each time.
        workspace::run(Command::new("strip").arg("-o").arg(&bare).arg(file))?;
        archive.copy(&place, &bare)?;
    }
    for command in steps::COMMANDS {
        let file = setup::on_path(command).with_context(|| format!("there is no {command}"))?;
        libraries.extend(libraries_of(&file)?);
        archive.copy(&format!("{}/{command}", steps::TOOLS), &file)?;
    }
    for library in libraries {
        archive.copy(&library.to_string_lossy(), &library)?;
    }
    archive.finish()
}

/// Writes the file system of a kernel's machine.
pub(crate) fn write(kernel: &Kernel, common: &[u8], to: &Path) -> Result<()> {
    let mut file = File::create(to).with_context(|| format!("writing {}", to.display()))?;
    file.write_all(common)
        .with_context(|| format!("writing {}", to.display()))?;
    // What follows on an archive is a part of it to the kernel.
    let mut archive = Archive::new(file);
    let mut modules = Vec::new();
    for module in kernel.modules()? {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("/modules/{name}");
        archive.copy(&place, &module)?;
        modules.push(place);
    }
    let steps = steps::for_guest(&modules);
    archive.file("/steps.json", steps.to_string().as_bytes())?;
    archive.finish()?;
    Ok(())
}

/// Builds the tests as `cargo xtask test` does, and gives back where their program
/// lies.
fn test_program() -> Result<PathBuf> {
    let built = workspace::cargo()
        .args(["test", "--release", "--package", "weir-tests", "--no-run"])
        .args(["--test", steps::TESTS])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    if !built.status.success() {
        bail!("the tests don't build");
    }
    workspace::build_tool(GUEST)?;
    workspace::build_tool(steps::VERIFY)?;
    let messages = String::from_utf8_lossy(&built.stdout);
    executable(&messages, steps::TESTS).with_context(|| format!("cargo built no {}", steps::TESTS))
}

/// The program of tests of a name, in cargo's messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let program = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let target = &message["target"];
        let is_test = target["kind"].as_array()?.iter().any(|kind| kind == "test");
        let is_meant = is_test && target["name"] == name;
        Some(message["executable"].as_str().filter(|_| is_meant)?.into())
    };
    messages.lines().find_map(program)
}

/// The shared libraries of a program and the loader, by their whole paths.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let said = Command::new("ldd")
        .arg(program)
        .output()
        .context("starting ldd")?;
    // A program without any isn't an error to us.
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if said.contains("not found") {
        bail!("{} lacks libraries: {said}", program.display());
    }
    Ok(paths(&said))
}

/// The paths in what ldd says.
fn paths(said: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let (before, _address) = line.trim().rsplit_once(" (0x")?;
        let path = before.rsplit_once("=> ").map_or(before, |(_, path)| path);
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    said.lines().filter_map(path).collect()
}

/// The first process.
const GUEST: &str = "guest";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_what_ldd_says() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f01)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        let expected = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(paths(said), expected.map(PathBuf::from));
        assert!(paths("\tstatically linked\n").is_empty());
    }

    #[test]
    fn of_cargos_messages_the_tests_count() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"a"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"b"},"executable":"/b"}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"it"},"executable":"/deps/it-1"}
{"reason":"build-finished","success":true}
no JSON at all"#;
        assert_eq!(executable(messages, "it"), Some("/deps/it-1".into()));
        assert_eq!(executable(messages, "b"), None);
    }
}
