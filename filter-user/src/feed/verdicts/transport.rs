//! Asking the service: HTTP with TLS, and what went wrong in our own words.

use std::{
    error::Error as StdError,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use reqwest::{
    Certificate, Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use rustls::{CertificateError, Error as TlsError};
use tokio::{
    net::lookup_host,
    time::{Instant, timeout, timeout_at},
};
use url::Host;

use super::{Asked, Trouble, copy::Copy, token::TokenFile};
use crate::{
    config::{self, Stream},
    feed::{
        Rules,
        codec::stream::{Answer, Reader},
    },
    store::{
        files::MAX_PEM_BYTES,
        reader::{READ_TIMEOUT, read_off},
    },
};

/// The way to a service.
pub(super) struct Transport {
    stream: Stream,
    token: Option<TokenFile>,
    /// Made when it is needed, and anew after the service wasn't believed: the
    /// authorities' file may be another then.
    client: Option<Client>,
    resolved: Resolved,
    skew: Option<i64>,
}

impl Transport {
    pub(super) fn new(stream: Stream) -> Self {
        let literal = match stream.url.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
            Some(Host::Domain(_)) | None => Vec::new(),
        };
        Self {
            token: stream.token_file.clone().map(TokenFile::new),
            stream,
            client: None,
            resolved: Resolved(Arc::new(Mutex::new(literal))),
            skew: None,
        }
    }

    /// Asks, and reads the answer as it comes. The copy gets every piece of it.
    pub(super) async fn ask(
        &mut self,
        asked: &Asked,
        rules: &Rules,
        copy: Option<&Copy>,
    ) -> Result<Answer, Trouble> {
        let answer = self.try_ask(asked, rules, copy).await;
        if let Err(Trouble::Untrusted(_) | Trouble::NoAuthority(_)) = answer {
            self.client = None;
        }
        answer
    }

    /// Whether a new try may go otherwise because the token's file is another.
    pub(super) async fn token_has_changed(&self) -> bool {
        match &self.token {
            Some(token) => token.has_changed().await,
            None => false,
        }
    }

    /// Where the service was found.
    pub(super) fn resolved(&self) -> Vec<IpAddr> {
        self.resolved.found()
    }

    /// Where the service is found, also while a question is under way.
    pub(super) fn resolving(&self) -> Resolved {
        self.resolved.clone()
    }

    /// What is doubtful though it works.
    pub(super) fn notes(&self) -> Vec<String> {
        let token = self.token.as_ref().and_then(TokenFile::note);
        let skew = self.skew.filter(|skew| skew.abs() > TOLERATED_SKEW);
        let skew = skew.map(|skew| {
            let (which, what) = if skew > 0 { ("ahead of", "late") } else { ("behind", "early") };
            format!(
                "the service's clock is {} s {which} this host's, so its claims may end that much too {what}: have both keep time by NTP",
                skew.abs()
            )
        });
        token.into_iter().chain(skew).collect()
    }

    async fn try_ask(
        &mut self,
        asked: &Asked,
        rules: &Rules,
        copy: Option<&Copy>,
    ) -> Result<Answer, Trouble> {
        let (url, patience) = match asked {
            Asked::Snapshot => (self.stream.url.clone(), HEAD),
            Asked::After(cursor) => {
                let mut url = self.stream.url.clone();
                url.query_pairs_mut()
                    .append_pair("after", cursor.as_str())
                    .append_pair("wait", &WAIT.as_secs().to_string());
                (url, WAIT + HEAD)
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, NDJSON.parse().expect("it is a header's value"));
        if let Some(token) = &mut self.token {
            headers.insert(AUTHORIZATION, token.header().await?);
        }
        let client = match &self.client {
            Some(client) => client,
            None => {
                let client = client(&self.stream, &self.resolved).await?;
                self.client.insert(client)
            }
        };
        let request = client.get(url).headers(headers).send();
        let mut response = match timeout(patience, request).await {
            Ok(response) => response.map_err(|error| trouble(&error))?,
            Err(_late) => return Err(Trouble::Slow("the service's answer", patience)),
        };
        self.skew = skew(&response).or(self.skew);
        let header = |name| response.headers().get(name)?.to_str().ok();
        Trouble::of_status(
            response.status().as_u16(),
            header(LOCATION),
            header(RETRY_AFTER),
            asked,
        )?;

        let mut reader = Reader::new(rules, asked.clone());
        let end = Instant::now() + WHOLE;
        loop {
            let next_end = end.min(Instant::now() + PIECE);
            let piece = match timeout_at(next_end, response.chunk()).await {
                Ok(piece) => piece.map_err(|error| trouble(&error))?,
                Err(_late) if next_end == end => {
                    return Err(Trouble::Slow("the whole of the service's answer", WHOLE));
                }
                Err(_late) => return Err(Trouble::Slow("a piece of the service's answer", PIECE)),
            };
            let Some(piece) = piece else {
                return Ok(reader.finish()?);
            };
            reader.bytes(&piece)?;
            if let Some(copy) = copy {
                copy.piece(piece).await;
            }
        }
    }
}

/// A client that goes nowhere but to this service.
async fn client(stream: &Stream, resolved: &Resolved) -> Result<Client, Trouble> {
    let mut builder = Client::builder()
        .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .http1_only()
        .https_only(stream.url.scheme() == "https")
        .connect_timeout(CONNECT)
        .tcp_keepalive(KEEP_ALIVE)
        .pool_max_idle_per_host(1)
        .dns_resolver(Arc::new(resolved.clone()));
    if let Some(path) = &stream.ca_file {
        let fault = |what: String| {
            Trouble::NoAuthority(format!(
                "{what} in {}: write the certificates of the service's authority there, as PEM",
                path.display()
            ))
        };
        let pem = read_off(path.clone(), MAX_PEM_BYTES, READ_TIMEOUT)
            .await
            .map_err(|error| fault(format!("there is nothing readable ({error})")))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|error| fault(format!("there is no certificate ({})", root(&error))))?;
        if certificates.is_empty() {
            return Err(fault("there is no certificate".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| {
        Trouble::NoAuthority(format!(
            "no connection can be made: {}; install ca-certificates, or name the service's authority in `ca_file`",
            root(&error)
        ))
    })
}

/// Looks names up as the host does, and says what was found: the addresses are
/// to be protected before anything is sent there.
#[derive(Clone)]
pub(super) struct Resolved(Arc<Mutex<Vec<IpAddr>>>);

impl Resolved {
    /// What was found last.
    pub(super) fn found(&self) -> Vec<IpAddr> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Resolved {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.clone();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = if name.as_str() == config::feed::LOCALHOST {
                // Whatever a resolver says: a token may go there in the clear.
                vec![
                    (Ipv4Addr::LOCALHOST, 0).into(),
                    (Ipv6Addr::LOCALHOST, 0).into(),
                ]
            } else {
                lookup_host((name.as_str(), 0)).await?.collect()
            };
            *found.lock() = addresses.iter().map(SocketAddr::ip).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// What a failed exchange means.
fn trouble(error: &reqwest::Error) -> Trouble {
    if let Some(tls) = chain(error).find_map(|one| one.downcast_ref::<TlsError>()) {
        return untrusted(tls);
    }
    if error.is_timeout() {
        return Trouble::Slow("connecting to the service", CONNECT);
    }
    if error.is_connect() {
        return Trouble::Unreachable(root(error));
    }
    Trouble::Unreachable(format!("the connection broke ({})", root(error)))
}

fn untrusted(error: &TlsError) -> Trouble {
    let TlsError::InvalidCertificate(fault) = error else {
        return Trouble::Untrusted(format!("no TLS comes about ({error})"));
    };
    Trouble::Untrusted(match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: have it renewed, or see whether this host's clock is right".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate isn't valid yet: see whether this host's clock is right".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name: see whether `url` is right".to_owned()
        }
        // The latter: another authority of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is from an authority that isn't trusted: name the right one in `ca_file`".to_owned()
        }
        other => format!("its certificate is refused ({other})"),
    })
}

/// An error and all that it stems from. What an [`io::Error`] wraps isn't among
/// its sources.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    fn below<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
        let error = *error;
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), below)
}

/// What an error stems from, in its own words and without the address.
fn root(error: &(dyn StdError + 'static)) -> String {
    let words = chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string);
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

/// By how many seconds the service's clock is ahead of ours.
fn skew(response: &Response) -> Option<i64> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let seconds = |time: SystemTime| {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    Some(seconds(theirs) - seconds(SystemTime::now()))
}

const NDJSON: &str = "application/x-ndjson";
/// How long the service may hold an answer back.
const WAIT: Duration = Duration::from_secs(30);
/// How long it may take with the head of an answer, beyond that.
const HEAD: Duration = Duration::from_secs(15);
/// How long it may take with the next piece.
const PIECE: Duration = Duration::from_secs(15);
/// How long a whole answer may take.
const WHOLE: Duration = Duration::from_secs(300);
/// How long it may take to answer a call.
const CONNECT: Duration = Duration::from_secs(10);
/// How soon a connection is found dead while it keeps silent.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Seconds by which the clocks may differ.
const TOLERATED_SKEW: i64 = 30;
