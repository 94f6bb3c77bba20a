//! Attaching the filter to interfaces, and seeing what is attached.
//!
//! Where a link of ours is pinned, its program is replaced by one atomic
//! update: no packet passes unfiltered. Somebody else's program is never
//! replaced.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, PinnedLink},
    loaded_programs,
    xdp::XdpLink,
};
use aya_obj::programs::XdpAttachType;
use rtnetlink::packet_route::link::{LinkAttribute, LinkLayerType, LinkXdp, XdpAttached};
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use super::{kernel::Kernel, pins::Pins};
use crate::config;

pub use filter_core::datapath::{Attach, Attached};

/// An interface as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its index.
    pub index: u32,
    /// Its frames begin with an Ethernet header.
    pub ethernet: bool,
    /// The XDP program on it.
    pub program: Option<(u32, Attach)>,
}

/// Puts the filter on interfaces, on all or on none. An interface on which a link of ours
/// is pinned gets it by one atomic update, the others by a new link, which is pinned.
///
/// New links come first, since a driver may refuse them; where something is refused, they
/// go again, and what was updated gets the program back that it had.
///
/// # Errors
/// If an interface is missing, isn't Ethernet, carries somebody else's program, or
/// refuses.
pub async fn attach_all(
    kernel: &mut Kernel,
    pins: &Pins,
    interfaces: &[String],
    wish: config::Attach,
) -> Result<Vec<Attached>> {
    let (mut fresh, mut pinned) = (Vec::new(), Vec::new());
    for interface in interfaces {
        let seen = check(pins, interface).await?;
        if pins.pinned_link(interface)?.is_some() {
            pinned.push((interface, seen.index));
        } else {
            fresh.push((interface, seen.index));
        }
    }
    let mut done = Done::default();
    let attached = put_on(kernel, pins, (&fresh, &pinned), wish, &mut done);
    if let Err(error) = attached {
        done.undo(pins);
        return Err(error);
    }
    let mut all = Vec::new();
    for interface in interfaces {
        match found(kernel, interface, wish).await {
            Ok(attached) => all.push(attached),
            Err(error) => {
                done.undo(pins);
                return Err(error);
            }
        }
    }
    Ok(all)
}

/// An interface, and its index.
type Place<'a> = (&'a String, u32);

fn put_on(
    kernel: &mut Kernel,
    pins: &Pins,
    (fresh, pinned): (&[Place<'_>], &[Place<'_>]),
    wish: config::Attach,
    done: &mut Done,
) -> Result<()> {
    for (interface, index) in fresh {
        create(kernel, pins, interface, *index, wish)?;
        done.created.push((*interface).clone());
    }
    for (interface, index) in pinned {
        let before = pins.program_before(interface)?;
        if update(kernel, pins, interface)? {
            done.updated.push(((*interface).clone(), before));
        } else {
            create(kernel, pins, interface, *index, wish)?;
            done.created.push((*interface).clone());
        }
    }
    Ok(())
}

/// What was done so far, to be undone if the rest can't be.
#[derive(Default)]
struct Done {
    created: Vec<String>,
    /// With the program that was there before, where one is pinned.
    updated: Vec<(String, Option<PathBuf>)>,
}

impl Done {
    fn undo(self, pins: &Pins) {
        for interface in self.created {
            if let Err(error) = pins.detach(&interface) {
                tracing::error!(interface, %error, "the filter can't be taken off again");
            }
        }
        for (interface, before) in self.updated {
            let Some(program) = before else {
                continue;
            };
            if let Err(error) = put_back(pins, &interface, &program) {
                tracing::error!(
                    interface,
                    error = format!("{error:#}"),
                    "the filter of before can't be put back"
                );
            }
        }
    }
}

/// Puts a pinned program back on an interface, whose link is ours.
fn put_back(pins: &Pins, interface: &str, program: &Path) -> Result<()> {
    let mut before = Xdp::from_pin(program, XdpAttachType::Interface)
        .with_context(|| format!("opening the pinned program {}", program.display()))?;
    let path = pins.pinned_link(interface)?.context("its link is gone")?;
    let pinned = PinnedLink::from_pin(&path).context("opening the pinned link")?;
    let link = XdpLink::try_from(FdLink::from(pinned)).context("it isn't a link of XDP")?;
    let id = before
        .attach_to_link(link)
        .context("replacing the program")?;
    // The pin holds it from here on.
    drop(before.take_link(id));
    Ok(())
}

/// The filter on an interface that it was just put on.
async fn found(kernel: &mut Kernel, interface: &str, wish: config::Attach) -> Result<Attached> {
    let ours = kernel
        .filter()?
        .info()
        .context("asking for the program's number")?
        .id();
    let seen = see(interface).await?;
    let Some((program, attach)) = seen.program.filter(|(program, _)| *program == ours) else {
        bail!("the filter was attached to {interface}, and isn't there");
    };
    kernel.set_merging(seen.index, attach == Attach::Generic)?;
    if !attach.fulfils(wish) {
        tracing::warn!(
            interface,
            "the filter stays {}, since it is taken over without a gap: weir detach, then weir \
             reload attaches it as configured",
            attach.name()
        );
    }
    Ok(Attached {
        interface: interface.to_owned(),
        index: seen.index,
        attach,
        program,
    })
}

/// Looks whether the filter can be put on an interface, and changes nothing: so
/// that of several interfaces none is begun with if one can't be done.
///
/// # Errors
/// If it is missing, isn't Ethernet, or carries somebody else's program.
pub async fn check(pins: &Pins, interface: &str) -> Result<Seen> {
    let seen = see(interface).await?;
    ensure!(
        seen.ethernet,
        "{interface} isn't an Ethernet interface, so its frames can't be read: \
         attach to the interface below it"
    );
    if let Some((program, _)) = seen.program
        && pins.pinned_link(interface)?.is_none()
    {
        bail!("{}", somebody_elses(interface, program));
    }
    Ok(seen)
}

/// Replaces the program of a pinned link. `false`: there is none that is alive.
fn update(kernel: &mut Kernel, pins: &Pins, interface: &str) -> Result<bool> {
    let Some(path) = pins.pinned_link(interface)? else {
        return Ok(false);
    };
    let pinned = PinnedLink::from_pin(&path)
        .with_context(|| format!("opening the pinned link {}", path.display()))?;
    let link = XdpLink::try_from(FdLink::from(pinned))
        .with_context(|| format!("{} isn't the link of an XDP program", path.display()))?;
    let filter = kernel.filter()?;
    let link = match filter.attach_to_link(link) {
        Ok(id) => FdLink::try_from(filter.take_link(id)?)?,
        Err(ProgramError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(Errno::NOLINK.raw_os_error()) =>
        {
            // The interface that it was on is gone; one of the same name isn't it.
            tracing::info!(interface, "a pinned link is dead, and makes way");
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            return Ok(false);
        }
        Err(error) => {
            return Err(error).with_context(|| {
                format!("replacing the filter on {interface}; the old one stays in force")
            });
        }
    };
    let own = pins.link(interface);
    if own != path {
        link.pin(&own).context("pinning the link")?;
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        tracing::info!(interface, from = %path.display(), "took over the filter of another version");
    }
    Ok(true)
}

fn create(
    kernel: &mut Kernel,
    pins: &Pins,
    interface: &str,
    index: u32,
    wish: config::Attach,
) -> Result<()> {
    let modes: &[XdpMode] = match wish {
        config::Attach::Auto => &[XdpMode::Driver, XdpMode::Skb],
        config::Attach::Native => &[XdpMode::Driver],
        config::Attach::Generic => &[XdpMode::Skb],
    };
    let filter = kernel.filter()?;
    let mut refused = Vec::new();
    for mode in modes {
        let attached = filter
            .attach_to_if_index(index, *mode)
            .and_then(|id| filter.take_link(id));
        // Where the kernel refuses a link, the library falls back to another
        // way of attaching, which ends with the process: that is no success.
        match attached.map(FdLink::try_from) {
            Ok(Ok(link)) => {
                link.pin(pins.link(interface)).context("pinning the link")?;
                if !refused.is_empty() {
                    tracing::warn!(
                        interface,
                        why = refused.join("; "),
                        "the driver refused the filter: it runs in the stack (generic), which is slower"
                    );
                }
                return Ok(());
            }
            Ok(Err(error)) => refused.push(format!("{mode:?}: {error}")),
            Err(error) => refused.push(format!("{mode:?}: {:#}", anyhow::Error::new(error))),
        }
    }
    bail!("{interface} takes no XDP program: {}", refused.join("; "))
}

/// Looks at an interface.
///
/// # Errors
/// If there is none of this name, or the kernel doesn't answer.
pub async fn see(interface: &str) -> Result<Seen> {
    let (connection, handle, _messages) =
        rtnetlink::new_connection().context("opening a netlink socket")?;
    let connection = tokio::spawn(connection);
    let mut links = handle
        .link()
        .get()
        .match_name(interface.to_owned())
        .execute();
    let link = tokio_stream::StreamExt::next(&mut links).await;
    connection.abort();
    let link = link
        .with_context(|| format!("no answer about {interface}"))?
        .with_context(|| format!("asking for {interface}"))?;

    let mut program = None;
    let mut attach = None;
    let xdp = link
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            LinkAttribute::Xdp(xdp) => Some(xdp),
            _ => None,
        });
    for part in xdp.flatten() {
        match part {
            LinkXdp::ProgId(id) => program = Some(*id),
            LinkXdp::Attached(XdpAttached::Driver | XdpAttached::Hardware) => {
                attach = Some(Attach::Native);
            }
            LinkXdp::Attached(XdpAttached::SocketBuffer) => attach = Some(Attach::Generic),
            _ => {}
        }
    }
    let layer = link.header.link_layer_type;
    Ok(Seen {
        index: link.header.index,
        ethernet: matches!(layer, LinkLayerType::Ether | LinkLayerType::Loopback),
        program: program.zip(attach),
    })
}

/// Waits until a program whose pin was removed is off an interface: the kernel
/// takes it off a moment later.
///
/// # Errors
/// If it stays.
pub async fn off(interface: &str, program: u32) -> Result<()> {
    let end = Instant::now() + SOON;
    // An interface that can't be seen any more has no filter.
    while let Ok(seen) = see(interface).await
        && seen.program.is_some_and(|(on, _)| on == program)
    {
        ensure!(
            Instant::now() < end,
            "the filter's pin is gone, and it is still on {interface}: something else holds it \
             (bpftool link shows it)"
        );
        sleep(A_MOMENT).await;
    }
    Ok(())
}

/// Whose program it is that stands in the way.
fn somebody_elses(interface: &str, program: u32) -> String {
    let found = loaded_programs()
        .filter_map(Result::ok)
        .find(|info| info.id() == program);
    let whose = found.map_or_else(String::new, |info| {
        let name = info.name_as_str().unwrap_or("?").to_owned();
        let by = info
            .created_by_uid()
            .map_or_else(String::new, |uid| format!(", loaded by user {uid}"));
        let at = info.loaded_at().map_or_else(String::new, |at| {
            format!(" at {}", humantime::format_rfc3339_seconds(at))
        });
        format!(" `{name}`{by}{at}")
    });
    format!(
        "{interface} already carries an XDP program that isn't weir's: program {program}{whose}. \
         It is left alone: take it off first (bpftool net shows it), or choose another interface"
    )
}

/// Longer than the kernel takes to let go.
const SOON: Duration = Duration::from_secs(2);

const A_MOMENT: Duration = Duration::from_millis(2);
