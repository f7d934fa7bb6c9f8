//! Ports of this machine: are they free, and what to say if not.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::failure::{Failure, Kind};

/// A port that was found free, held until it is dropped.
#[derive(Debug)]
pub struct Claim {
    listener: TcpListener,
    port: u16,
}

impl Claim {
    /// Claims a port on 127.0.0.1; 0 stands for any.
    ///
    /// # Errors
    /// It is taken. `purpose` says what for it was wanted, `remedy` how to choose another.
    pub fn new(port: u16, purpose: &str, remedy: &str) -> Result<Self, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let any = if port == 0 { Self::any() } else { None };
        let listener = match any {
            Some(listener) => listener,
            None => TcpListener::bind(address)
                .map_err(|error| taken(address, purpose, &error, remedy))?,
        };
        let port =
            listener.local_addr().map_err(|error| taken(address, purpose, &error, remedy))?.port();
        Ok(Self { listener, port })
    }

    /// A free port outside of the range from which systems take ports for outgoing connections:
    /// one of those could take it between our release of it and Envoy's start.
    fn any() -> Option<TcpListener> {
        use std::hash::{BuildHasher as _, RandomState};
        (0..64_u8).find_map(|attempt| {
            let random = RandomState::new().hash_one(attempt);
            let port = 20_000 + u16::try_from(random % 12_000).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
        })
    }

    /// The number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets go of the port, for somebody else to listen on.
    pub fn release(self) -> u16 {
        drop(self.listener);
        self.port
    }
}

/// What to say when nobody can listen on an address.
pub fn taken(address: SocketAddr, purpose: &str, error: &std::io::Error, remedy: &str) -> Failure {
    let port = address.port();
    let kind = error.kind();
    if kind == std::io::ErrorKind::AddrInUse {
        let message = format!("port {port} is in use; it was to serve {purpose}");
        Failure::new(Kind::PortInUse, message)
    } else if kind == std::io::ErrorKind::PermissionDenied {
        let message = format!("this user may not listen on port {port}; it was to serve {purpose}");
        Failure::new(Kind::PortInUse, message)
    } else {
        let message = format!("cannot listen on {address} for {purpose}: {error}");
        Failure::new(Kind::Error, message)
    }
    .with_hint(remedy)
}
