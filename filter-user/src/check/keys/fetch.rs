//! Fetching a key set from its address.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use reqwest::{Certificate, Client, redirect::Policy};
use tokio::time::timeout;
use url::Url;

use super::LARGEST;
use crate::{
    config::feed::LOCALHOST,
    store::{
        files::MAX_PEM_BYTES,
        reader::{READ_TIMEOUT, read_off},
    },
};

/// The way to an issuer.
pub(super) struct Fetcher {
    url: Url,
    ca_file: Option<PathBuf>,
    /// Made when it is needed, and anew after a failure: the authorities' file
    /// may be another then.
    client: Option<Client>,
}

impl Fetcher {
    pub(super) const fn new(url: Url, ca_file: Option<PathBuf>) -> Self {
        Self {
            url,
            ca_file,
            client: None,
        }
    }

    /// The text of the set as it is now, or why there is none, in a sentence.
    pub(super) async fn fetch(&mut self) -> Result<Vec<u8>, String> {
        let fetched = timeout(PATIENCE, self.try_fetch()).await;
        let fetched = fetched
            .unwrap_or_else(|_late| Err(format!("the keys didn't come within {PATIENCE:?}")));
        if fetched.is_err() {
            self.client = None;
        }
        fetched
    }

    async fn try_fetch(&mut self) -> Result<Vec<u8>, String> {
        let client = match &self.client {
            Some(client) => client,
            None => {
                let client = self.client().await?;
                self.client.insert(client)
            }
        };
        let broke = |error: reqwest::Error| format!("the keys can't be fetched: {}", root(&error));
        let mut response = client.get(self.url.clone()).send().await.map_err(broke)?;
        if !response.status().is_success() {
            return Err(format!(
                "the keys can't be fetched: their address answers {}",
                response.status()
            ));
        }
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broke)? {
            text.extend_from_slice(&piece);
            if text.len() as u64 > LARGEST {
                return Err("what comes has more than 1 MiB: that is no key set".to_owned());
            }
        }
        Ok(text)
    }

    async fn client(&self) -> Result<Client, String> {
        let mut builder = Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .https_only(self.url.scheme() == "https")
            // Whatever a resolver says: the keys come from this host.
            .resolve(LOCALHOST, (Ipv4Addr::LOCALHOST, 0).into())
            .pool_max_idle_per_host(0);
        if let Some(path) = &self.ca_file {
            let shown = path.display();
            let pem = read_off(path.clone(), MAX_PEM_BYTES, READ_TIMEOUT).await;
            let pem = pem.map_err(|error| format!("{shown} can't be read ({error})"))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    format!(
                        "{shown} has no certificate: write those of the authority there, as PEM"
                    )
                })?;
            builder = builder.tls_certs_only(certificates);
        }
        builder
            .build()
            .map_err(|error| format!("no connection can be made: {}", root(&error)))
    }
}

/// What an error stems from, in its own words and without the address.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    let words = deepest.to_string();
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

/// How long it all may take.
const PATIENCE: Duration = Duration::from_secs(15);
