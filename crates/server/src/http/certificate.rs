//! How the server proves who it is: a certificate from files, or one of its own making.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use clap::Args;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use sha2::{Digest, Sha256};
use squall_env::Env;
use x509_cert::der::Decode;

use crate::logging::tell;

/// How often the files are looked at for a renewed certificate.
const LOOK_PERIOD: Duration = Duration::from_secs(60);

/// From when on the end of a certificate is worth a warning.
const ENDS_SOON: jiff::SignedDuration = jiff::SignedDuration::from_hours(14 * 24);

/// How long a certificate of the server's own holds: nobody renews what clients have pinned.
const OWN_YEARS: i16 = 10;

/// How the server proves who it is.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Speak TLS on all ports, with the certificate in this PEM file and those that lead to its
    /// authority; a renewed file is taken up within a minute.
    #[arg(long, env = "SQUALL_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, in PEM.
    #[arg(long, env = "SQUALL_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Speak TLS on all ports, with a certificate of the server's own, which the first start makes
    /// in `tls` in the data directory. Clients need that file (`--cacert`).
    #[arg(long, env = "SQUALL_TLS_SELF_SIGNED", value_parser = FalseyValueParser::new())]
    pub(crate) tls_self_signed: bool,
    /// A name or address by which clients know the server, for its own certificate; may be given
    /// several times. The host's name and the loopback addresses are always in it.
    #[arg(
        long = "tls-name",
        env = "SQUALL_TLS_NAMES",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) tls_names: Vec<String>,
}

impl TlsOptions {
    /// The certificate that was asked for; none where plain HTTP is to be spoken.
    ///
    /// # Errors
    ///
    /// Options contradict each other; a file can't be read, is none of PEM, or does not fit the
    /// other; the certificate does not hold now.
    pub(super) fn certificate(
        &self,
        data: &Path,
        listen: IpAddr,
        env: &dyn Env,
    ) -> Result<Option<Certificate>> {
        match (&self.tls_cert, &self.tls_key, self.tls_self_signed) {
            (None, None, false) => Ok(None),
            (Some(chain), Some(key), false) => {
                Certificate::open(chain.clone(), key.clone(), env.now()).map(Some)
            }
            (None, None, true) => self.own(data, listen, env.now()).map(Some),
            (Some(_), None, _) => bail!("--tls-cert needs --tls-key, the file of its private key"),
            (None, Some(_), _) => bail!("--tls-key needs --tls-cert, the file of its certificate"),
            (Some(_), Some(_), true) => {
                bail!("--tls-cert and --tls-self-signed exclude each other: name one")
            }
        }
    }

    /// The certificate of the server's own.
    fn own(&self, data: &Path, listen: IpAddr, now: Timestamp) -> Result<Certificate> {
        let directory = data.join("tls");
        let (chain, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        if chain.try_exists()? && Ends::of(&read_chain(&chain)?)?.last < now {
            tracing::warn!(file = %chain.display(), "the server's own certificate has ended; a new one is made");
            fs::remove_file(&chain)?;
        }
        if !chain.try_exists()? {
            let made = make(&self.names(listen), now).context("cannot make a certificate")?;
            let written = fs::create_dir_all(&directory)
                .and_then(|()| crate::serve::write_private(&key, &made.key))
                .and_then(|()| fs::write(&chain, &made.chain));
            written.with_context(|| format!("cannot write into {}", directory.display()))?;
        }
        let certificate = Certificate::open(chain, key, now)?;
        tell(&format!(
            "the server's own certificate: {} (for --cacert of clients)\n  SHA-256 fingerprint: {}",
            certificate.chain.display(),
            certificate.fingerprint()
        ));
        Ok(certificate)
    }

    fn names(&self, listen: IpAddr) -> Vec<String> {
        let mut names = vec![crate::serve::host_name(), "localhost".to_owned()];
        names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
        if !listen.is_unspecified() {
            names.push(listen.to_string());
        }
        names.extend(self.tls_names.iter().map(|name| name.trim().to_owned()));
        names.sort();
        names.dedup();
        names
    }
}

/// When each of the two files was changed, and how long it is.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// A certificate with its key, and the files that they came from.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Certificate {
    fn open(chain: PathBuf, key: PathBuf, now: Timestamp) -> Result<Certificate> {
        let current = ArcSwap::from_pointee(read(&chain, &key, now)?);
        Ok(Certificate {
            chain,
            key,
            current,
        })
    }

    /// How TLS is spoken with it: versions 1.2 and 1.3, HTTP/1.1.
    pub(super) fn config(self: &Arc<Certificate>) -> Result<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions()?;
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// By what people recognise it: SHA-256 of the certificate, as browsers and openssl show it.
    fn fingerprint(&self) -> String {
        let current = self.current.load();
        let hash = Sha256::digest(&current.cert[0]);
        let bytes: Vec<_> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// Takes up files that have changed, for as long as the server runs. What is wrong with them is
    /// logged, and what was in force stays.
    pub(crate) async fn follow(self: Arc<Certificate>, env: Arc<dyn Env>) {
        let mut known = self.stamp();
        loop {
            env.sleep(LOOK_PERIOD).await;
            match self.look(&mut known, env.now()) {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!(file = %self.chain.display(), "took up a renewed certificate");
                }
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "the renewed certificate is not used; the one of before stays in force"
                ),
            }
        }
    }

    /// Takes up the files if they are no longer those that are known; says whether it did.
    fn look(&self, known: &mut Stamp, now: Timestamp) -> Result<bool> {
        let stamp = self.stamp();
        if stamp == *known {
            return Ok(false);
        }
        // What can't be used is looked at again: the files may be written one after the other.
        let renewed = read(&self.chain, &self.key, now)?;
        self.current.store(Arc::new(renewed));
        *known = stamp;
        Ok(true)
    }

    /// What changes when the files do.
    fn stamp(&self) -> Stamp {
        [&self.chain, &self.key].map(|path| {
            let file = fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads a certificate and its key, and checks that they belong together and hold now.
fn read(chain: &Path, key: &Path, now: Timestamp) -> Result<CertifiedKey> {
    let certificates = read_chain(chain)?;
    let ends = Ends::of(&certificates)?;
    let shown = chain.display();
    if now < ends.first {
        bail!(
            "the certificate in {shown} does not hold before {}",
            ends.first
        );
    }
    if now > ends.last {
        bail!(
            "the certificate in {shown} has expired at {}: renew it",
            ends.last
        );
    }
    if ends.last.duration_since(now) < ENDS_SOON {
        tracing::warn!(file = %shown, ends = %ends.last, "the certificate expires soon");
    }
    let private = read_key(key)?;
    let certified = CertifiedKey::from_der(certificates, private, &provider());
    certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => anyhow::anyhow!(
            "the private key in {} is not that of the certificate in {shown}",
            key.display()
        ),
        error => {
            anyhow::Error::new(error).context(format!("cannot use {shown} with {}", key.display()))
        }
    })
}

fn read_file(path: &Path, what: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {what} in {}", path.display()))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read_file(path, "the certificate")?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates =
        certificates.with_context(|| format!("the certificate in {} is broken", path.display()))?;
    if certificates.is_empty() {
        bail!(
            "there is no certificate in {}: it must be a PEM file with a section CERTIFICATE",
            path.display()
        );
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read_file(path, "the private key")?;
    let shown = path.display();
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if contains(&text, b"ENCRYPTED PRIVATE KEY") => bail!(
            "the private key in {shown} is encrypted: the server needs it in clear, \
             in a file that only its user may read"
        ),
        Err(pem::Error::NoItemsFound) => bail!(
            "there is no private key in {shown}: it must be a PEM file with a section PRIVATE KEY"
        ),
        Err(error) => Err(error).context(format!("the private key in {shown} is broken")),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// From when to when a certificate holds.
struct Ends {
    first: Timestamp,
    last: Timestamp,
}

impl Ends {
    fn of(chain: &[CertificateDer<'_>]) -> Result<Ends> {
        let first = chain.first().context("there is no certificate")?;
        let read = x509_cert::Certificate::from_der(first);
        let read = read.context("the certificate is none of X.509")?;
        let validity = read.tbs_certificate().validity();
        // "No end" is the last second of 9999 (RFC 5280, 4.1.2.5), which is beyond a timestamp's.
        let moment = |time: x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
        };
        Ok(Ends {
            first: moment(validity.not_before),
            last: moment(validity.not_after),
        })
    }
}

/// A certificate that was made, and its key, as PEM.
struct Made {
    chain: String,
    key: String,
}

/// Makes a certificate for names and addresses that vouches for itself.
fn make(names: &[String], now: Timestamp) -> Result<Made> {
    let mut params = rcgen::CertificateParams::new(names)?;
    let title = format!("Squall on {}", crate::serve::host_name());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, title);
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    // Clocks differ: it holds since yesterday.
    let yesterday = today.yesterday()?;
    let part = |part: i8| u8::try_from(part).unwrap_or(1);
    let day = |year: i16, date: jiff::civil::Date| {
        rcgen::date_time_ymd(year.into(), part(date.month()), part(date.day()))
    };
    params.not_before = day(yesterday.year(), yesterday);
    params.not_after = day(yesterday.year() + OWN_YEARS, yesterday.first_of_month());
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate()?;
    let made = params.self_signed(&key)?;
    Ok(Made {
        chain: made.pem(),
        key: key.serialize_pem(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The fingerprint of a certificate that is made in these files.
    fn write(chain: &Path, key: &Path, now: Timestamp) {
        let made = make(&["squall.test".to_owned()], now).unwrap();
        fs::write(chain, made.chain).unwrap();
        fs::write(key, made.key).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (chain, key) = (
            directory.path().join("cert.pem"),
            directory.path().join("key.pem"),
        );
        let now = moment("2026-03-14T09:26:53Z");
        write(&chain, &key, now);
        let certificate = Certificate::open(chain.clone(), key.clone(), now).unwrap();
        let (first, mut known) = (certificate.fingerprint(), certificate.stamp());
        assert!(!certificate.look(&mut known, now).unwrap());

        let old_key = fs::read(&key).unwrap();
        write(&chain, &key, now);
        let new_key = fs::read(&key).unwrap();
        fs::write(&key, [&old_key[..], b"\n"].concat()).unwrap();
        let refused = certificate.look(&mut known, now).unwrap_err().to_string();
        assert!(
            refused.contains("is not that of the certificate"),
            "{refused}"
        );
        assert_eq!(certificate.fingerprint(), first);

        fs::write(&key, [&new_key[..], b"\n\n"].concat()).unwrap();
        assert!(certificate.look(&mut known, now).unwrap());
        assert_ne!(certificate.fingerprint(), first);
        assert!(!certificate.look(&mut known, now).unwrap());
    }

    #[test]
    fn a_certificate_of_the_servers_own_is_made_once_and_again_when_it_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let options = TlsOptions {
            tls_self_signed: true,
            tls_names: vec!["squall.example.com".to_owned()],
            ..TlsOptions::default()
        };
        let listen = "192.0.2.7".parse().unwrap();
        let own = |now| options.own(directory.path(), listen, moment(now)).unwrap();
        let first = own("2026-03-14T09:26:53Z").fingerprint();
        assert_eq!(own("2036-02-29T23:59:59Z").fingerprint(), first);
        assert_ne!(own("2036-04-01T00:00:00Z").fingerprint(), first);
        use std::os::unix::fs::PermissionsExt;
        let key = fs::metadata(directory.path().join("tls/key.pem")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
}
