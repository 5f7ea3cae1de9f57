//! Calls to the proxy (proxy-wasm ABI 0.2.1), in bytes and with errors.
//!
//! The crate's own wrappers panic on header values that are not UTF-8 and on every status they do
//! not expect; a panic ends the VM, and with it every request of the worker.
#![allow(unsafe_code)]

use crate::memory::{self, bytes};
use crate::pairs::{Pairs, serialise};

/// The proxy refused a call; its status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostError(pub u32);

pub type Result<T> = std::result::Result<T, HostError>;

/// How severe a log line is.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// What a metric does.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

const REQUEST_HEADERS: u32 = 0;
const CALL_RESPONSE_HEADERS: u32 = 6;
const REQUEST_BODY: u32 = 0;
const CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;
const REQUEST: u32 = 0;
/// The status of a call about a context that is not there.
pub const BAD_ARGUMENT: u32 = 2;
const NOT_FOUND: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        results: *mut *mut u8,
        results_size: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
}

pub const fn ok(status: u32) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(HostError(status)) }
}

/// Writes a log line. There is nothing to be done where that fails.
pub fn log(level: Level, message: &str) {
    #[expect(clippy::as_conversions, reason = "the number of a level")]
    // SAFETY: pointer and length belong to `message`.
    let _status = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// The time, in nanoseconds since 1970.
pub fn nanoseconds() -> Result<u64> {
    let mut nanoseconds = 0;
    // SAFETY: the pointer is to a local.
    ok(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
    Ok(nanoseconds)
}

/// The time, in milliseconds since 1970.
pub fn milliseconds() -> Result<u64> {
    Ok(nanoseconds()?.checked_div(1_000_000).unwrap_or(0))
}

/// The time, in seconds since 1970.
pub fn now() -> Result<i64> {
    seconds(milliseconds()?)
}

/// Milliseconds in seconds.
pub fn seconds(milliseconds: u64) -> Result<i64> {
    let seconds = milliseconds.checked_div(1_000).unwrap_or(0);
    i64::try_from(seconds).map_err(|_| HostError(u32::MAX))
}

/// Asks for a tick every so many milliseconds.
pub fn set_tick_period(milliseconds: u32) -> Result<()> {
    // SAFETY: no pointers.
    ok(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// The plugin's configuration.
pub fn plugin_configuration() -> Result<Vec<u8>> {
    // SAFETY: the pointers are to locals of `bytes`.
    bytes(|data, size| unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, data, size) })
}

/// A part of the request body that is buffered.
pub fn request_body(start: usize, length: usize) -> Result<Vec<u8>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the pointers are to locals of `bytes`.
    bytes(|data, size| unsafe { proxy_get_buffer_bytes(REQUEST_BODY, start, length, data, size) })
}

/// The body of the answer to a call.
pub fn call_response_body(length: usize) -> Result<Vec<u8>> {
    // SAFETY: the pointers are to locals of `bytes`.
    bytes(|data, size| unsafe { proxy_get_buffer_bytes(CALL_RESPONSE_BODY, 0, length, data, size) })
}

/// The status of the answer to a call; `None` where it has none.
pub fn call_response_status() -> Option<u16> {
    // SAFETY: the pointers are to locals of `bytes`.
    let pairs = bytes(|data, size| unsafe { proxy_get_header_map_pairs(CALL_RESPONSE_HEADERS, data, size) }).ok()?;
    let pairs = Pairs::new(pairs.into());
    let mut status = None;
    pairs.read(|name, value| status = if name == b":status" { Some(value) } else { status }).ok()?;
    std::str::from_utf8(status?).ok()?.parse().ok()
}

/// All request headers in one call, as the proxy serialises them.
pub fn request_headers() -> Result<Pairs> {
    // SAFETY: the pointers are to locals of `in_arena`.
    memory::in_arena(|data, size| unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, data, size) }).map(Pairs::new)
}

/// Removes all request headers of a name.
pub fn remove_request_header(name: &[u8]) -> Result<()> {
    // SAFETY: pointer and length belong to `name`.
    ok(unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) })
}

/// Sets a request header, in place of all of its name.
pub fn set_request_header(name: &str, value: &[u8]) -> Result<()> {
    // SAFETY: pointers and lengths belong to the arguments.
    ok(unsafe {
        proxy_replace_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// The name of the cluster that the current request's route leads to, where it has one.
pub fn cluster_name() -> Result<Option<Vec<u8>>> {
    let path = "xds\0cluster_name";
    // SAFETY: pointer and length belong to `path`; the others are to locals of `bytes`.
    match bytes(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }) {
        Ok(name) => Ok(Some(name).filter(|name| !name.is_empty())),
        Err(HostError(NOT_FOUND)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets filter state `wasm.<key>` of the current request.
pub fn set_filter_state(key: &str, value: &[u8]) -> Result<()> {
    // SAFETY: pointers and lengths belong to the arguments.
    ok(unsafe { proxy_set_property(key.as_ptr(), key.len(), value.as_ptr(), value.len()) })
}

/// Answers the current request.
pub fn reply(status: u16, details: &str, headers: &[(&str, &str)], body: &str, grpc_status: u8) -> Result<()> {
    let headers = serialise(headers);
    // SAFETY: pointers and lengths belong to the arguments and `headers`.
    ok(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(grpc_status),
        )
    })
}

/// Lets the current request, which was stopped, go on.
pub fn resume() -> Result<()> {
    // SAFETY: no pointers.
    ok(unsafe { proxy_continue_stream(REQUEST) })
}

/// Resets the current request.
pub fn close() -> Result<()> {
    // SAFETY: no pointers.
    ok(unsafe { proxy_close_stream(REQUEST) })
}

/// Makes a context the one that calls refer to.
pub fn set_effective_context(context: u32) -> Result<()> {
    // SAFETY: no pointers.
    ok(unsafe { proxy_set_effective_context(context) })
}

/// Calls a function that the proxy offers by name.
pub fn call_foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>> {
    // SAFETY: pointers and lengths belong to the arguments, or are to locals of `bytes`.
    bytes(|data, size| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len(), data, size)
    })
}

/// Defines a metric.
pub fn define_metric(kind: MetricKind, name: &str) -> Result<u32> {
    let mut id = 0;
    #[expect(clippy::as_conversions, reason = "the number of a kind")]
    // SAFETY: pointer and length belong to `name`; the other pointer is to a local.
    ok(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter.
pub fn increment_metric(id: u32, by: u64) -> Result<()> {
    let by = i64::try_from(by).map_err(|_| HostError(u32::MAX))?;
    // SAFETY: no pointers.
    ok(unsafe { proxy_increment_metric(id, by) })
}

/// The value of a metric.
pub fn get_metric(id: u32) -> Result<u64> {
    let mut value = 0;
    // SAFETY: the pointer is to a local.
    ok(unsafe { proxy_get_metric(id, &raw mut value) })?;
    Ok(value)
}

/// The size of this VM's memory, in bytes.
pub fn memory_size() -> u64 {
    let pages = core::arch::wasm32::memory_size::<0>();
    u64::try_from(pages).unwrap_or(u64::MAX).saturating_mul(65_536)
}

/// Sets a gauge, or adds a value to a histogram.
pub fn record_metric(id: u32, value: u64) -> Result<()> {
    // SAFETY: no pointers.
    ok(unsafe { proxy_record_metric(id, value) })
}
