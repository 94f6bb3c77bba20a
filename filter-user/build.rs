//! Builds the kernel side (`filter-ebpf`) into `OUT_DIR`.
//!
//! Not by `aya-build`: it fixes the compiler's flags and leaves no room for
//! `-C target-cpu=v3`, without which there is no compare-and-swap.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

const OBJECT: &str = "weir-ebpf";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=AYA_BUILD_SKIP");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    if env::var("AYA_BUILD_SKIP").is_ok_and(|skip| skip == "1") {
        // For lints and docs where bpf-linker is missing: nothing can be loaded.
        return fs::write(out.join(OBJECT), []).context("writing an empty object");
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the crate lies in the workspace")?
        .to_path_buf();
    for watched in [
        "filter-ebpf/src",
        "filter-ebpf/Cargo.toml",
        "filter-common/src",
        "filter-common/Cargo.toml",
        "Cargo.lock",
        "Cargo.toml",
        "rust-toolchain.toml",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }

    // A folder of its own: cargo holds a lock on the one that it builds in.
    let target = out.join("ebpf");
    let linker = linker(&root)?;
    println!("cargo:rerun-if-changed={}", linker.display());
    let flags = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Ctarget-cpu=v3",
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
        &format!("-Clinker={}", linker.display()),
    ]
    .join("\x1f");
    let status = Command::new(env::var("CARGO")?)
        .current_dir(&root)
        .args(["build", "--package", "filter-ebpf", "--release"])
        .args(["--target", "bpfel-unknown-none", "-Zbuild-std=core"])
        .arg("--target-dir")
        .arg(&target)
        // The toolchain is a stable one; this is how the kernel's own Rust does it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env_remove("RUSTC")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .context("running cargo for the kernel side")?;
    if !status.success() {
        bail!("the kernel side didn't build (is rust-src there? `cargo xtask setup` installs it)");
    }
    fs::copy(
        target.join("bpfel-unknown-none/release").join(OBJECT),
        out.join(OBJECT),
    )
    .context("copying the object")?;
    Ok(())
}

/// The linker that `cargo xtask setup` installed, or one on the path.
fn linker(root: &Path) -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |target| root.join(target));
    println!("cargo:rerun-if-env-changed=CARGO_TARGET_DIR");
    println!("cargo:rerun-if-env-changed=PATH");
    let installed = target.join("tools/bin/bpf-linker");
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("bpf-linker"));
    std::iter::once(installed.clone())
        .chain(on_path)
        .find(|linker| linker.is_file())
        .with_context(|| {
            format!(
                "bpf-linker is neither {} nor on the path: `cargo xtask setup` installs it",
                installed.display()
            )
        })
}
