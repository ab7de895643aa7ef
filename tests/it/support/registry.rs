//! A registry that a test bends: a few lines of HTTP over a listener of std, one thread per connection.
//!
//! It speaks no TLS, as loopback registries may. Every request is remembered, with its headers.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::Digest;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    /// Lines as they came, lower case up to the colon.
    pub headers: Vec<String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<String>,
    pub body: Vec<u8>,
    /// Said to be so long; none: as long as it is.
    pub length: Option<usize>,
    /// The body again and again, chunked, until the other side has enough or so many bytes have gone.
    pub endless: Option<usize>,
    /// Nothing more comes, and the line stays open.
    pub stalls: bool,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), length: None, endless: None, stalls: false }
    }

    pub fn header(mut self, line: impl Into<String>) -> Self {
        self.headers.push(line.into());
        self
    }

    pub fn says(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    pub fn stalls(mut self) -> Self {
        self.stalls = true;
        self
    }

    pub fn endless(mut self, bytes: usize) -> Self {
        self.endless = Some(bytes);
        self
    }
}

/// A listener that answers until it is dropped.
#[derive(Debug)]
pub struct Server {
    pub host: String,
    seen: Arc<Mutex<Vec<Request>>>,
    address: std::net::SocketAddr,
    end: Arc<std::sync::atomic::AtomicBool>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let end = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (log, over, answer) = (Arc::clone(&seen), Arc::clone(&end), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let _ = stream.and_then(|stream| serve(&stream, &log, &*answer));
                });
            }
        });
        Self { host: address.to_string(), seen, address, end }
    }

    /// What was asked for so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, std::sync::atomic::Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: &TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        // A TLS greeting: it is answered in the clear, and the client understands.
        if reader.fill_buf()?.first().is_none_or(|byte| !byte.is_ascii_alphabetic()) {
            return (&*stream).write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(match line.split_once(':') {
                    Some((name, value)) if !lines.is_empty() => {
                        format!("{}:{value}", name.to_ascii_lowercase())
                    }
                    _ => line.to_owned(),
                }),
            }
        }
        let Some(first) = lines.first() else { return Ok(()) };
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let request = Request { path, headers: lines.split_off(1) };
        log.lock().unwrap().push(request.clone());
        let answer = answer(&request);
        send(stream, &answer)?;
        if answer.stalls {
            // Until the other side has gone.
            reader.fill_buf()?;
        }
        if answer.length.is_some() || answer.endless.is_some() {
            return Ok(());
        }
    }
}

fn send(mut stream: &TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Answer\r\n", answer.status);
    for line in &answer.headers {
        head += &format!("{line}\r\n");
    }
    let Some(mut left) = answer.endless else {
        head += &format!("Content-Length: {}\r\n\r\n", answer.length.unwrap_or(answer.body.len()));
        stream.write_all(head.as_bytes())?;
        return stream.write_all(&answer.body);
    };
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
    while left > 0 {
        stream.write_all(format!("{:x}\r\n", answer.body.len()).as_bytes())?;
        stream.write_all(&answer.body)?;
        stream.write_all(b"\r\n")?;
        left = left.saturating_sub(answer.body.len());
    }
    stream.write_all(b"0\r\n\r\n")
}

/// `sha256:…`
pub fn digest(bytes: &[u8]) -> String {
    let hash: [u8; 32] = sha2::Sha256::digest(bytes).into();
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// An image of one layer, as a registry serves it.
#[derive(Debug, Clone)]
pub struct Image {
    pub layer: Vec<u8>,
    pub config: Vec<u8>,
    pub manifest: Value,
}

impl Image {
    /// `blob` is the layer as it is served, `tar` what it holds.
    pub fn new(blob: Vec<u8>, tar: &[u8]) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar)]},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let kind = "application/vnd.oci.image";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": format!("{kind}.manifest.v1+json"),
            "config": {"mediaType": format!("{kind}.config.v1+json"), "digest": digest(&config), "size": config.len()},
            "layers": [{"mediaType": format!("{kind}.layer.v1.tar+gzip"), "digest": digest(&blob), "size": blob.len()}],
        });
        Self { layer: blob, config, manifest }
    }

    pub fn of(tar: &[u8]) -> Self {
        Self::new(gzip(tar), tar)
    }

    /// Serves it well.
    pub fn answer(&self, request: &Request) -> Answer {
        let found = |body: &[u8]| Answer::new(200, body);
        if request.path == "/v2/" {
            found(b"{}")
        } else if request.path.contains("/manifests/") {
            found(&serde_json::to_vec(&self.manifest).unwrap())
                .header("Content-Type: application/vnd.oci.image.manifest.v1+json")
        } else if request.path.ends_with(&digest(&self.config)) {
            found(&self.config)
        } else if self.is_layer(request) {
            found(&self.layer)
        } else {
            Answer::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown"}]}"#)
        }
    }

    pub fn is_layer(&self, request: &Request) -> bool {
        request.path.contains("/blobs/") && request.path.ends_with(&digest(&self.layer))
    }

    /// As a docker-archive, for `load`.
    pub fn archive(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
        let manifest =
            json!([{"Config": "config.json", "RepoTags": ["localhost/hostile:1"], "Layers": names}]);
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let files = names.iter().map(String::as_str).zip(layers.iter().copied());
        for (name, data) in
            [("manifest.json", manifest.as_slice()), ("config.json", config)].into_iter().chain(files)
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, data).unwrap();
        }
        tar.into_inner().unwrap()
    }
}

/// A member of a layer: name, type, link's target, mode, uid, data, PAX records. Nothing of it is checked by the writer.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a str,
    pub kind: u8,
    pub link: &'a str,
    pub mode: u32,
    pub uid: u64,
    pub data: &'a [u8],
    pub pax: &'a [(&'a str, &'a [u8])],
}

impl<'a> Entry<'a> {
    pub fn file(name: &'a str, data: &'a [u8]) -> Self {
        Self { name, kind: b'0', link: "", mode: 0o644, uid: 0, data, pax: &[] }
    }

    pub fn dir(name: &'a str) -> Self {
        Self { kind: b'5', mode: 0o755, ..Self::file(name, b"") }
    }

    pub fn link(name: &'a str, kind: u8, link: &'a str) -> Self {
        Self { kind, link, ..Self::file(name, b"") }
    }
}

/// A tar of them, byte for byte as said.
pub fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        if !entry.pax.is_empty() {
            let mut records = Vec::new();
            for (key, value) in entry.pax {
                let rest = key.len() + value.len() + 3;
                let mut total = rest + rest.to_string().len();
                total = rest + total.to_string().len();
                records.extend(format!("{total} {key}=").into_bytes());
                records.extend_from_slice(value);
                records.push(b'\n');
            }
            block(&mut out, &Entry { name: "pax", kind: b'x', link: "", pax: &[], data: &records, ..*entry });
        }
        block(&mut out, entry);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn block(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let mut header = tar::Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
    old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
    old.linkflag[0] = entry.kind;
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.uid);
    header.set_mtime(1);
    header.set_size(entry.data.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(entry.data);
    out.resize(out.len().next_multiple_of(512), 0);
}
