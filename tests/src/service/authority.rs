//! Certificates, good ones and bad ones.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU32, Ordering},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};

/// Somebody who signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    ///
    /// # Panics
    /// If there is no entropy.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("weir's tests {}", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("there is entropy");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it can be signed");
        Self { issuer }
    }

    /// Its own certificate, as PEM: what is to be trusted.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A good one for this host's own address.
    #[must_use]
    pub fn good(&self) -> Certificate {
        let address = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        self.sign(address, [2000, 2099])
    }

    /// One that will be good.
    #[must_use]
    pub fn not_yet_good(&self) -> Certificate {
        let address = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        self.sign(address, [2098, 2099])
    }

    /// One that has expired.
    #[must_use]
    pub fn expired(&self) -> Certificate {
        let address = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        self.sign(address, [2000, 2001])
    }

    /// One for somebody else.
    ///
    /// # Panics
    /// Never: the name is a name.
    #[must_use]
    pub fn for_another(&self) -> Certificate {
        let name = "another.example.net".try_into().expect("it is a name");
        self.sign(SanType::DnsName(name), [2000, 2099])
    }

    fn sign(&self, name: SanType, [from, until]: [i32; 2]) -> Certificate {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("there is entropy");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("it can be signed");
        Certificate {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
