//! gRPC calls by a real client through a real Envoy to a real gRPC server.

#[path = "../support/mod.rs"]
mod support;

mod gateway;

use std::net::SocketAddr;
use std::time::Duration;

use gateway::{Answers, Arrived, Gateway, Raw};
use http::uri::PathAndQuery;
use portcullis::suite::CaseRequest;
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Listener;
use portcullis_e2e::wait::DEADLINE;
use serde_json::{Value, json};
use support::World;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const GATES: [&str; 3] = ["hold", "stream", "stream, free"];

/// Everything that a test needs: the server, Envoy before it, and callers.
struct Stage {
    world: World,
    gateway: Gateway,
    envoy: Envoy,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new();
        let (gateway, addr) = Gateway::start().await;
        let reasons =
            |listener: Listener| listener.edit_plugin(|plugin| plugin["debug"] = json!({"explainHeader": true}));
        let bootstrap = world
            .gateway()
            .grpc_upstream(addr)
            .expect("the shipped configuration")
            .listener("hold", |l| reasons(world.guarded(l)))
            .listener("stream", |l| reasons(world.streaming(l)))
            .listener("stream, free", |l| reasons(world.streaming(l)).without_stop_iteration())
            .build();
        // Envoy starts while the server already runs on other threads.
        let envoy = tokio::task::block_in_place(|| Launch::new(bootstrap).start()).expect("Envoy");
        Self { world, gateway, envoy }
    }

    fn addr(&self, gate: &str) -> SocketAddr {
        tokio::task::block_in_place(|| self.envoy.addr(gate)).expect("an address")
    }

    /// A client of that listener.
    async fn client(&self, gate: &str) -> Grpc<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.addr(gate))).expect("a URI");
        Grpc::new(endpoint.connect().await.expect("a connection"))
    }

    /// Calls, and returns the answers' stream, or the status that came instead.
    async fn call(
        &self,
        client: &mut Grpc<Channel>,
        user: &str,
        call: &str,
        message: Vec<u8>,
    ) -> Result<Answers, Status> {
        let mut request = Request::new(message);
        if !user.is_empty() {
            let bearer = format!("Bearer {}", self.world.token(user)).parse().expect("ASCII");
            request.metadata_mut().insert("authorization", bearer);
        }
        client.ready().await.expect("a connection");
        let path: PathAndQuery = format!("/gateway_protocol.Gateway/{call}").parse().expect("a path");
        let answer = tokio::time::timeout(DEADLINE, client.server_streaming(request, path, Raw)).await;
        answer.expect("an answer in time").map(tonic::Response::into_inner)
    }

    /// The call that has arrived last, once as many have as are expected.
    async fn arrived(&self, count: usize) -> Arrived {
        let poll = async {
            loop {
                match self.gateway.arrived().get(count - 1) {
                    Some(arrived) => return arrived.clone(),
                    None => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        tokio::time::timeout(DEADLINE, poll).await.expect("a call at the server")
    }

    /// The status with which a call ends that never reaches the server.
    async fn refusal(&self, client: &mut Grpc<Channel>, user: &str, call: &str, message: Vec<u8>) -> (Code, String) {
        let before = self.gateway.arrived().len();
        let status = self.call(client, user, call, message).await.expect_err("a refusal");
        assert_eq!(self.gateway.arrived().len(), before, "{status:?}");
        let reason =
            status.metadata().get("x-portcullis-reason").map(|reason| reason.to_str().expect("ASCII").to_owned());
        assert!(!status.message().is_empty());
        (status.code(), reason.unwrap_or_default())
    }

    /// A call that is answered with what the server sends.
    async fn passes(&self, client: &mut Grpc<Channel>, user: &str, call: &str, message: Vec<u8>) {
        let count = self.gateway.arrived().len() + 1;
        // The server's headers come before its first answer.
        let mut answers = self.call(client, user, call, message.clone()).await.expect("permitted");
        let arrived = self.arrived(count).await;
        assert!(arrived.path.ends_with(call));
        assert_eq!(arrived.message, message);
        arrived.answers.send(Ok(b"done".to_vec())).expect("an open call");
        drop(arrived);
        assert_eq!(next(&mut answers).await.expect("an answer"), Some(b"done".to_vec()));
    }
}

async fn next(answers: &mut Answers) -> Result<Option<Vec<u8>>, Status> {
    tokio::time::timeout(DEADLINE, answers.message()).await.expect("in time")
}

/// A message of a call, as protobuf.
fn message(call: &str, message: Value) -> Vec<u8> {
    let request = CaseRequest::grpc(call, Some(&message), Vec::new(), None).expect("a message");
    request.body.expect("a body")[5..].to_vec()
}

fn create(process: &str) -> Vec<u8> {
    message("CreateProcessInstance", json!({"variables": "{}", "bpmnProcessId": process}))
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_arrive_as_status() {
    let stage = Stage::new().await;
    for gate in GATES {
        let client = &mut stage.client(gate).await;
        for (user, call, message, code, reason) in [
            ("", "Topology", Vec::new(), Code::Unauthenticated, "token_missing"),
            ("ada, forged", "Topology", Vec::new(), Code::Unauthenticated, "signature_invalid"),
            ("ada", "Reboot", Vec::new(), Code::PermissionDenied, "operation_unknown"),
            ("dora", "CancelProcessInstance", vec![8, 7], Code::PermissionDenied, "permission_missing"),
            ("dora", "CreateProcessInstance", create("payroll"), Code::PermissionDenied, "resource_not_granted"),
            ("dora", "CreateProcessInstance", vec![0x12, 200, 1, 7], Code::InvalidArgument, "body_unreadable"),
        ] {
            let refusal = stage.refusal(client, user, call, message).await;
            assert_eq!(refusal, (code, reason.to_owned()), "{gate}: {user} {call}");
        }
        // The connection is as good as before.
        stage.passes(client, "dora", "CreateProcessInstance", create("invoice")).await;
        stage.passes(client, "dora", "Topology", Vec::new()).await;
    }
}

/// Larger than a frame of HTTP/2 and than one read of Envoy's, plain and compressed.
#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_many_frames_and_compressed() {
    let stage = Stage::new().await;
    let noise: String = (0u64..40_000).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let long = |process: &str| {
        message("CreateProcessInstance", json!({"bpmnProcessId": process, "variables": noise, "version": -1}))
    };
    assert!(long("invoice").len() > 500_000);
    for gate in GATES {
        let plain = stage.client(gate).await;
        let compressing = stage.client(gate).await.send_compressed(CompressionEncoding::Gzip);
        for mut client in [plain, compressing] {
            stage.passes(&mut client, "dora", "CreateProcessInstance", long("invoice")).await;
            let refusal = stage.refusal(&mut client, "dora", "CreateProcessInstance", long("payroll")).await;
            assert_eq!(refusal.1, "resource_not_granted", "{gate}");
            stage.passes(&mut client, "ada", "CreateProcessInstance", long("payroll")).await;
        }
    }
}

/// Each job arrives when it is sent, however long the call then goes on.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_jobs_flow_undisturbed() {
    let stage = Stage::new().await;
    for gate in GATES {
        let client = &mut stage.client(gate).await;
        for call in ["StreamActivatedJobs", "ActivateJobs"] {
            let count = stage.gateway.arrived().len() + 1;
            let request = message(call, json!({"type": "charge", "tenantIds": ["<default>"]}));
            let mut answers = stage.call(client, "dora", call, request).await.expect("permitted");
            let arrived = stage.arrived(count).await;
            for job in ["first", "second", "third"] {
                arrived.answers.send(Ok(job.into())).expect("an open call");
                assert_eq!(next(&mut answers).await.expect("a job"), Some(job.into()), "{gate}: {call}");
            }
            // Others are judged meanwhile.
            let refusal = stage.refusal(client, "dora", "CreateProcessInstance", create("payroll")).await;
            assert_eq!(refusal.0, Code::PermissionDenied);
            arrived.answers.send(Err(Status::resource_exhausted("later"))).expect("an open call");
            let end = next(&mut answers).await.expect_err("the server's own status");
            assert_eq!((end.code(), end.message()), (Code::ResourceExhausted, "later"), "{gate}: {call}");
        }
    }
}

/// What follows the one message, or never ends, does not reach the server as a call.
#[tokio::test(flavor = "multi_thread")]
async fn one_message_and_no_more() {
    let stage = Stage::new().await;
    let path = || PathAndQuery::from_static("/gateway_protocol.Gateway/CreateProcessInstance");
    for gate in GATES {
        let client = &mut stage.client(gate).await;
        let bearer = format!("Bearer {}", stage.world.token("dora"));
        let request = |messages: Vec<Vec<u8>>, ends: bool| {
            use tokio_stream::StreamExt as _;
            let never = tokio_stream::pending::<Vec<u8>>();
            let never: std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Vec<u8>> + Send>> =
                if ends { Box::pin(tokio_stream::empty()) } else { Box::pin(never) };
            let mut request = Request::new(tokio_stream::iter(messages).chain(never));
            request.metadata_mut().insert("authorization", bearer.parse().expect("ASCII"));
            request
        };
        client.ready().await.expect("a connection");
        let two = request(vec![create("invoice"), create("payroll")], true);
        let status = client.streaming(two, path(), Raw).await.map(|_| ()).expect_err("a refusal");
        assert_eq!(status.code(), Code::InvalidArgument, "{gate}: {status:?}");
        // A call that does not end waits; whoever gives up has had no effect.
        client.ready().await.expect("a connection");
        let waits = client.streaming(request(vec![create("invoice")], false), path(), Raw);
        let outcome = tokio::select! {
            answer = waits => Some(answer.map(|_| ())),
            () = others(&stage, gate) => None,
        };
        assert!(outcome.is_none(), "{gate}: {outcome:?}");
        assert!(stage.gateway.arrived().iter().all(|arrived| arrived.path.ends_with("/Topology")), "{gate}");
    }
}

/// Other calls through the same listener, which pass meanwhile.
async fn others(stage: &Stage, gate: &str) {
    let client = &mut stage.client(gate).await;
    for _ in 0..20 {
        stage.passes(client, "dora", "Topology", Vec::new()).await;
    }
}
