//! The first message of a TLS client, with whatever bytes stand where the server's name should.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long the answer is waited for: longer than a handshake may take in the listener.
const ANSWER: Duration = Duration::from_secs(15);

/// The bytes of an entry of the list of server names (RFC 6066, section 3).
pub fn server_name(kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind][..], &length(name.len()), name].concat()
}

/// A `ClientHello` for TLS 1.2 (RFC 5246, 7.4.1.2) with these entries as its list of server names;
/// `None` leaves the extension out.
pub fn client_hello(entries: Option<&[Vec<u8>]>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(entries) = entries {
        extensions.extend(extension(0, &prefixed(&entries.concat())));
    }
    // P-256; uncompressed points; ECDSA and RSA-PSS with SHA-256.
    extensions.extend(extension(10, &prefixed(&[0, 23])));
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &prefixed(&[4, 3, 8, 4])));
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        // ECDHE with ECDSA or RSA, AES-128-GCM.
        &prefixed(&[0xc0, 0x2b, 0xc0, 0x2f]),
        &[1, 0],
        &prefixed(&extensions),
    ]
    .concat();
    let handshake = [&[1, 0][..], &prefixed(&body)].concat();
    [&[22, 3, 1][..], &prefixed(&handshake)].concat()
}

fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &prefixed(value)].concat()
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes.len())[..], bytes].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("less than 64 KiB").to_be_bytes()
}

/// What a server made of a first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes on with the handshake.
    Hello,
    /// It says why it does not.
    Alert,
    /// It closed the connection without a word.
    Closed,
}

/// Sends a first message and returns what comes back.
///
/// # Errors
/// If there is no connection, or no answer in time.
pub async fn greet(address: SocketAddr, hello: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(hello).await?;
    let mut first = [0];
    match tokio::time::timeout(ANSWER, stream.read(&mut first)).await? {
        Ok(0) => Ok(Answer::Closed),
        Ok(_) if first == [22] => Ok(Answer::Hello),
        Ok(_) => Ok(Answer::Alert),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(Answer::Closed),
        Err(error) => Err(error),
    }
}
