//! How those who come before and after the edge read a path, written from their documentation and
//! from what they were seen to do; nothing here is shared with the engine.

/// What Envoy does with `%2F` and `%5C`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Escaped {
    Keep,
    Refuse,
    Unescape,
}

/// The settings of Envoy's connection manager that change paths.
#[derive(Clone, Copy, Debug)]
pub struct Envoy {
    pub normalize: bool,
    pub merge: bool,
    pub escaped: Escaped,
}

impl Envoy {
    /// All settings.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (normalize, merge) in [(false, false), (true, false), (false, true), (true, true)] {
            for escaped in [Escaped::Keep, Escaped::Refuse, Escaped::Unescape] {
                all.push(Self { normalize, merge, escaped });
            }
        }
        all
    }

    /// The target that is forwarded of a request over HTTP/1; `None` where Envoy answers itself.
    pub fn forward(self, target: &str) -> Option<String> {
        // Blanks beside the target are part of the request line, not of the target.
        let target = target.trim_matches(' ');
        let absolute = target.strip_prefix("http://").map(|rest| rest.find('/').map_or("/", |at| &rest[at..]));
        let target = absolute.unwrap_or(target);
        target.is_ascii().then(|| self.forward_over_http2(target))?
    }

    /// The same over HTTP/2, where a path may be of other letters, too.
    pub fn forward_over_http2(self, target: &str) -> Option<String> {
        if !target.starts_with('/') || target.contains('#') || target.bytes().any(|b| b <= 0x20 || b == 0x7f) {
            return None;
        }
        let (path, query) = target.find('?').map_or((target, ""), |at| target.split_at(at));
        let mut path = path.to_owned();
        let has_escaped = ["%2f", "%2F", "%5c", "%5C"].iter().any(|e| path.contains(e));
        match self.escaped {
            Escaped::Refuse if has_escaped => return None,
            Escaped::Unescape => {
                for (escape, byte) in [("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\")] {
                    path = path.replace(escape, byte);
                }
            }
            _ => {}
        }
        if self.normalize {
            path = normalized(&path)?;
        }
        // Of slashes alone two are left.
        while self.merge && path.contains("//") && path != "//" {
            path = path.replace("//", "/");
        }
        Some(path + query)
    }
}

/// Stands for a percent sign that begins no escape.
const LONE: char = '\u{1}';

/// Unreserved escapes decoded, what must not stand in a path encoded, backslashes turned, dot
/// segments resolved; escaped NUL is refused. Before all that, from version 1.39 on, what is written
/// as a dot segment loses its parameters.
fn normalized(path: &str) -> Option<String> {
    let bare = |segment| match without_parameters(segment) {
        dots @ ("." | "..") => dots,
        _ => segment,
    };
    let path = path.split('/').map(bare).collect::<Vec<_>>().join("/");
    if path.contains("%00") {
        return None;
    }
    let mut plain = String::new();
    let mut rest = path.as_str();
    while let Some(next) = rest.chars().next() {
        let code = rest.get(1..3).filter(|_| next == '%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code.map(char::from).filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)) {
            Some(unreserved) => {
                plain.push(unreserved);
                rest = &rest[3..];
            }
            None => {
                match next {
                    '\\' => plain.push('/'),
                    '%' if code.is_none() => plain.push(LONE),
                    '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}' => {
                        plain.push_str(&format!("%{:02X}", u32::from(next)))
                    }
                    ascii if ascii.is_ascii() => plain.push(ascii),
                    other => other.to_string().bytes().for_each(|b| plain.push_str(&format!("%{b:02X}"))),
                }
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    // Where what was decoded would make an escape of it, it is encoded itself.
    while let Some(at) = plain.find(LONE) {
        let digits = plain.get(at + 1..at + 3).is_some_and(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        plain.replace_range(at..=at, if digits { "%25" } else { "%" });
    }
    let mut out: Vec<&str> = Vec::new();
    let segments: Vec<&str> = plain.split('/').skip(1).collect();
    for (number, segment) in segments.iter().enumerate() {
        let last = number + 1 == segments.len();
        match *segment {
            "." if last => out.push(""),
            "." => {}
            ".." => {
                out.pop();
                if last {
                    out.push("");
                }
            }
            other => out.push(other),
        }
    }
    Some(format!("/{}", out.join("/")))
}

/// Percent-decodes; `None` for what is no escape, and for what is no UTF-8 afterwards.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

fn without_parameters(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// Spring's `PathPattern`: the raw path is split, then each segment loses its parameters and is
/// decoded. Up to Spring 5 a trailing slash is nothing.
pub fn path_pattern(target: &str, trailing_slash_is_nothing: bool) -> Option<Vec<String>> {
    let path = path_of(target).strip_prefix('/')?;
    let path = if trailing_slash_is_nothing { path.strip_suffix('/').unwrap_or(path) } else { path };
    path.split('/').map(|segment| decode(without_parameters(segment))).collect()
}

/// Spring's older `UrlPathHelper`: parameters are cut, all is decoded, slashes are merged, and only
/// then is the path split.
pub fn url_path_helper(target: &str) -> Option<Vec<String>> {
    let raw: Vec<&str> = path_of(target).split('/').map(without_parameters).collect();
    let mut path = decode(&raw.join("/"))?;
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    Some(path.strip_prefix('/')?.split('/').map(str::to_owned).collect())
}

/// Tomcat: parameters cut, decoded, normalised; an encoded slash is refused or left as it is,
/// backslashes and NUL are refused.
pub fn tomcat(target: &str, passes_solidus: bool) -> Option<Vec<String>> {
    let raw: Vec<&str> = path_of(target).split('/').map(without_parameters).collect();
    let raw = raw.join("/");
    let lower = raw.to_ascii_lowercase();
    if lower.contains("%2f") && !passes_solidus {
        return None;
    }
    let decoded = decode(&raw.replace("%2f", "%252F").replace("%2F", "%252F"))?;
    if decoded.contains('\\') || decoded.contains('\0') {
        return None;
    }
    let mut out: Vec<String> = Vec::new();
    for segment in decoded.strip_prefix('/')?.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                out.pop()?;
            }
            other => out.push(other.replace("%2F", "/")),
        }
    }
    if out.is_empty() {
        out.push(String::new());
    }
    Some(out)
}

/// One who reads like a browser (WHATWG URL): backslashes are slashes, `%2e` is a dot.
pub fn browser(target: &str) -> Option<Vec<String>> {
    let (mut out, mut end): (Vec<String>, bool) = (Vec::new(), false);
    for segment in path_of(target).replace('\\', "/").strip_prefix('/')?.split('/') {
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        end = matches!(&*dots, "." | "..");
        match &*dots {
            "." => {}
            ".." => {
                out.pop();
            }
            _ => out.push(decode(segment)?),
        }
    }
    if end {
        out.push(String::new());
    }
    Some(out)
}
