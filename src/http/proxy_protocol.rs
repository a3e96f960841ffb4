//! The header of HAProxy's PROXY protocol, versions 1 and 2, by which a proxy says who it connects for. It comes ahead
//! of everything else, TLS too, and not a byte more than it is read.

use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::net::TcpStream;

use crate::http::refusal::Refusal;

/// The longest header of version 1, its line break included.
const V1_BYTES_MAX: usize = 107;

/// The shortest beginning that tells the versions apart, which no header is shorter than.
const PREFIX_BYTES: usize = v2::PROTOCOL_PREFIX.len();

/// The head of version 2, whose last two bytes are the length of what follows.
const V2_HEAD_BYTES: usize = PREFIX_BYTES + 4;

/// What may follow: addresses, and what a proxy tells beyond them, its clients' certificates at the most.
const V2_REST_BYTES_MAX: usize = 4096;

/// Reads the header of a connection from `peer` and gives the address that it speaks for: its own where it speaks for
/// itself, as with checks of health.
pub(super) async fn read(stream: &TcpStream, peer: SocketAddr) -> Result<SocketAddr, Refusal> {
    let mut header = Vec::new();
    fill(stream, &mut header, PREFIX_BYTES).await?;
    if header == v2::PROTOCOL_PREFIX {
        fill(stream, &mut header, V2_HEAD_BYTES).await?;
        let rest =
            usize::from(header[V2_HEAD_BYTES - 2]) << 8 | usize::from(header[V2_HEAD_BYTES - 1]);
        if rest > V2_REST_BYTES_MAX {
            return Err(Refusal::ProxyProtocol);
        }
        fill(stream, &mut header, V2_HEAD_BYTES + rest).await?;
        let header = v2::Header::try_from(&header[..]).map_err(|_| Refusal::ProxyProtocol)?;
        return Ok(of_v2(&header).unwrap_or(peer));
    }
    if !header.starts_with(b"PROXY ") {
        return Err(Refusal::ProxyProtocol);
    }
    while !header.ends_with(b"\r\n") {
        // Nothing is read beyond the line: what follows is not ours.
        if header.len() >= V1_BYTES_MAX {
            return Err(Refusal::ProxyProtocol);
        }
        let bytes = header.len() + 1;
        fill(stream, &mut header, bytes).await?;
    }
    let header = v1::Header::try_from(&header[..]).map_err(|_| Refusal::ProxyProtocol)?;
    Ok(of_v1(&header).unwrap_or(peer))
}

fn of_v1(header: &v1::Header<'_>) -> Option<SocketAddr> {
    match header.addresses {
        v1::Addresses::Tcp4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v1::Addresses::Tcp6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v1::Addresses::Unknown => None,
    }
}

fn of_v2(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        _ => None,
    }
}

/// Reads until the header has so many bytes, and no further.
async fn fill(stream: &TcpStream, header: &mut Vec<u8>, bytes: usize) -> Result<(), Refusal> {
    let mut at = header.len();
    header.resize(bytes.max(at), 0);
    while at < bytes {
        stream.readable().await.map_err(|_| Refusal::Lost)?;
        match stream.try_read(&mut header[at..]) {
            Ok(0) => return Err(Refusal::Lost),
            Ok(read) => at += read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(Refusal::Lost),
        }
    }
    Ok(())
}
