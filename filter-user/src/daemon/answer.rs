//! Answers to what the operator and monitors ask and say.

use std::sync::Arc;

use filter_common::{cause::Cause, settings::Mode};

use super::{Daemon, ModeFrom, feeds::tier_numbers, list, now, start};
use crate::{
    claim::{Change, Claim, Update, Verdict},
    control::{
        Reply, Request,
        protocol::{
            DetachAnswer, DetachRequest, ModeAnswer, ModeRequest, Order, PrefixAnswer, Refused,
            VerdictAnswer, VerdictRequest,
        },
    },
    datapath::{Datapath as _, attach::off},
    ledger::OPERATOR,
    metrics,
    prefix::Written,
    store::state_dir,
};

impl Daemon {
    pub(super) async fn answer(&mut self, request: Request) {
        match request {
            Request::Status { reply } => {
                let status = self.status().await;
                send(reply, Ok(status));
            }
            Request::List { query, reply } => send(reply, list::list(self, &query)),
            Request::Explain { query, reply } => {
                let explanation = self.explain(&query);
                send(reply, explanation);
            }
            Request::Verdict { request, reply } => self.verdict(&request, reply),
            Request::Mode { request, reply } => {
                let answer = self.change_mode(request);
                send(reply, answer);
            }
            Request::Forgive { reply, .. } => {
                send(reply, Err(Refused::new("this daemon can't forgive yet")));
            }
            Request::Shadow { reply } => send(reply, Ok(self.shadow_lines())),
            Request::UnderAttack { request, reply } => {
                let answer = self.change_attack(request);
                send(reply, answer);
            }
            Request::Feeds { query, reply } => send(reply, self.feeds(&query)),
            Request::Feed { request, reply } => self.steer(&request, reply),
            Request::Reload { reply } => {
                let answer = self.reload().await;
                send(reply, answer);
            }
            Request::Detach { request, reply } => {
                let answer = self.detach(&request).await;
                send(reply, answer);
            }
            Request::Events {
                follow: false,
                reply,
            } => send(reply, Ok(self.events.recent())),
            Request::Events {
                follow: true,
                reply,
            } => send(reply, self.events.follow()),
            Request::Metrics { reply } => {
                let figures = self.figures().await;
                send(reply, Ok(metrics::text(&figures)));
            }
        }
    }

    /// Takes the operator's verdicts. They are in force at once; success is
    /// answered when they are kept.
    fn verdict(&mut self, request: &VerdictRequest, reply: Reply<VerdictAnswer>) {
        let now = now();
        let verdict = match &request.verdict {
            Order::Allow => Some(Verdict::Allow),
            Order::Block => Some(Verdict::Block),
            Order::Clear => None,
            Order::Limit(tier) => match self.plan.tier_names.number(tier) {
                Some(number) => Some(Verdict::Limit(number)),
                None => {
                    let known: Vec<_> = self.plan.tier_names.names().collect();
                    let sentence =
                        format!("there is no tier {tier:?}: there are {}", known.join(", "));
                    return send(reply, Err(Refused::new(sentence)));
                }
            },
        };
        let expires = match request.for_s {
            None => None,
            Some(seconds) => match u32::try_from(u64::from(now.unix).saturating_add(seconds)) {
                Ok(expires) if expires < u32::MAX => Some(expires),
                _ => {
                    let sentence = "that is longer than weir can count: leave out the duration";
                    return send(reply, Err(Refused::new(sentence)));
                }
            },
        };

        let mut answers = Vec::with_capacity(request.prefixes.len());
        let mut changes = Vec::new();
        let reason: Option<Arc<str>> = request.reason.as_deref().map(Into::into);
        for text in &request.prefixes {
            let written: Written = match text.parse() {
                Ok(written) => written,
                Err(error) => {
                    answers.push(PrefixAnswer::refused(text, error.to_string()));
                    continue;
                }
            };
            let change = match verdict {
                Some(verdict) => Change::Claim(Claim {
                    prefix: written.prefix,
                    verdict,
                    reason: reason.clone(),
                    evidence: 0,
                    expires,
                    id: None,
                }),
                None => Change::Withdraw(written.prefix),
            };
            let applied = self
                .ledger
                .apply(OPERATOR, Update::Delta(vec![change.clone()]), now);
            // Also of a claim that isn't taken: others may have ended meanwhile.
            let refused = self.carry_out(&applied.patch);
            if let Some(refusal) = applied.refused.first.first() {
                answers.push(PrefixAnswer::refused(text, refusal.fault.to_string()));
                continue;
            }
            let mut answer = PrefixAnswer::done(text, &written);
            if verdict.is_none() && applied.withdrawn == 0 {
                answer.changed = false;
                answer.note = Some("the operator had said nothing of it".to_owned());
            } else {
                changes.push(change);
            }
            if let Some((_, why)) = refused.iter().find(|(prefix, _)| *prefix == written.prefix) {
                answer.done = false;
                answer.error = Some(format!(
                    "it is kept, but the kernel's table refused it: {why}"
                ));
            }
            answers.push(answer);
        }
        let until = expires.map(|expires| {
            let end = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(expires));
            humantime::format_rfc3339_seconds(end).to_string()
        });
        let mut answer = VerdictAnswer {
            until,
            prefixes: answers,
        };
        let tiers = tier_numbers(&self.plan.tier_names);
        let kept = self.keeper.keep(changes, tiers);
        tokio::spawn(async move {
            if let Err(error) = kept.await.unwrap_or_else(|gone| Err(gone.to_string())) {
                for prefix in answer.prefixes.iter_mut().filter(|prefix| prefix.done) {
                    prefix.done = false;
                    prefix.error = Some(format!(
                        "in force now, but it would be lost at a restart: {error}"
                    ));
                }
            }
            send(reply, Ok(answer));
        });
    }

    fn change_mode(&mut self, request: ModeRequest) -> Result<ModeAnswer, Refused> {
        let was = self.mode();
        let mut notes = Vec::new();
        if request.mode == Mode::Enforce
            && was == Mode::Observe
            && let Some(few) = self.few_sources()
        {
            if !request.force {
                return Err(Refused::new(format!(
                    "{few}: a rate or a verdict on one of them would hit everybody behind it. If \
                     that is how it should be, say it again with --force"
                )));
            }
            notes.push(few);
        }
        self.settings.mode = request.mode as u8;
        if !self.put_settings() {
            self.settings.mode = was as u8;
            return Err(Refused::new(
                "the kernel refused the settings: weir status says why",
            ));
        }
        self.mode_from = ModeFrom::WeirMode;
        let kept = state_dir::write(
            &self.config.daemon.state_dir,
            start::MODE,
            request.mode.name(),
        );
        if let Err(error) = kept {
            notes.push(format!(
                "in force now, but it would be lost at a restart: {error}"
            ));
        }
        tracing::info!(mode = request.mode.name(), "the operator changed the mode");
        Ok(ModeAnswer {
            mode: request.mode,
            was,
            until: None,
            notes,
        })
    }

    /// A sentence if few sources carry most of the traffic: then a CDN or a load
    /// balancer is in front, and what is seen of a source isn't a caller's.
    fn few_sources(&self) -> Option<String> {
        let counts = self.kernel.counts().ok()?;
        let rated = [
            Cause::Conforming,
            Cause::OverPackets,
            Cause::OverBytes,
            Cause::OverConnections,
            Cause::OverNeighbourhood,
        ];
        let packets: u64 = rated
            .iter()
            .map(|cause| counts.causes[*cause as usize].packets())
            .sum();
        let sources = counts.buckets.begun;
        (packets >= MANY_PACKETS && sources <= FEW_SOURCES).then(|| {
            format!(
                "all {packets} packets to guarded ports came from {sources} sources, as if a CDN \
                 or a load balancer were in front"
            )
        })
    }

    async fn detach(&mut self, request: &DetachRequest) -> Result<DetachAnswer, Refused> {
        let going: Vec<_> = self
            .attached
            .iter()
            .filter(|attached| {
                let wanted = request.interface.as_ref();
                wanted.is_none_or(|wanted| *wanted == attached.interface)
            })
            .cloned()
            .collect();
        let interfaces: Vec<_> = going.iter().map(|one| one.interface.clone()).collect();
        if let Some(wanted) = &request.interface
            && interfaces.is_empty()
        {
            return Err(Refused::new(format!("the filter isn't on {wanted}")));
        }
        let refused = |error: anyhow::Error| Refused::new(format!("{error:#}"));
        for attached in &going {
            let interface = &attached.interface;
            self.pins.detach(interface).map_err(refused)?;
            off(interface, attached.program).await.map_err(refused)?;
            tracing::warn!(
                interface,
                "the operator took the filter off; weir reload puts it back"
            );
        }
        self.attached
            .retain(|attached| !interfaces.contains(&attached.interface));
        Ok(DetachAnswer { interfaces })
    }
}

pub(super) fn send<T>(reply: Reply<T>, answer: Result<T, Refused>) {
    // Whoever asked may be gone.
    let _gone = reply.send(answer);
}

/// Fewer packets say nothing about who is in front.
const MANY_PACKETS: u64 = 10_000;

/// Lines of the table of buckets that hold something: while they are few, one a
/// source, service and tier.
const FEW_SOURCES: u64 = 4;
