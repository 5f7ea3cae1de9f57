//! The arguments of each command.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Decides Camunda 8 orchestration API calls at the edge: who is calling, what for, and whether
/// they may.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    after_help = "Exit status: 0 yes or fine, 1 no or something was found, 2 could not run."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes the compact table of a policy
    Compile(CompileArguments),
    /// Writes the policy that a table was made of
    Decode(DecodeArguments),
    /// Finds grants that are dead, dangerous or impossible
    Lint(LintArguments),
    /// Says who gains and who loses what from one policy to another
    Diff(DiffArguments),
    /// Says what the edge decides about one request, and why
    Explain(Box<ExplainArguments>),
    /// Runs suites of requests and expected decisions
    Test(TestArguments),
    /// Lists the catalogue of operations, or says which operation a request is
    Operations(OperationsArguments),
    /// Says whether an Envoy, or what is about to be given to one, is really guarded
    Doctor(DoctorArguments),
    /// Writes a first configuration from what a cluster is configured with
    Init(InitArguments),
    /// Writes ready manifests from a configuration and a policy, the belt among them
    Render(RenderArguments),
}

/// Arguments of `compile`.
#[derive(Debug, Args)]
#[command(after_help = "A POLICY is what the cluster's API exports, what its configuration holds under\n\
                        camunda.security.initialization, or a table. The same policy gives the same bytes,\n\
                        whatever its order.\n\
                        Exit status: 0 the table is written, 2 it is not.")]
pub struct CompileArguments {
    /// Policies (JSON or YAML); several become one
    #[arg(required = true, value_name = "POLICY")]
    pub policies: Vec<PathBuf>,
    /// Where the table goes
    #[arg(short, long, value_name = "TABLE")]
    pub output: PathBuf,
    /// When it was made, to be written into the table (RFC 3339); SOURCE_DATE_EPOCH also says so
    #[arg(long, value_name = "TIME")]
    pub built: Option<String>,
    /// Refuse a policy in which anything grants nothing
    #[arg(long)]
    pub strict: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `decode`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 the policy is written, 2 it is not.")]
pub struct DecodeArguments {
    /// The table
    pub table: PathBuf,
}

/// Arguments of `lint`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 nothing was found, 1 something was, 2 could not run.")]
pub struct LintArguments {
    /// Policies or tables; several become one
    #[arg(required = true, value_name = "POLICY")]
    pub policies: Vec<PathBuf>,
    /// Print one JSON object per finding
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_help = "What an owner holds itself and through its groups and roles is compared.\n\
                        Exit status: 0 nobody gains or loses anything, 1 somebody does, 2 could not run.")]
pub struct DiffArguments {
    /// The policy or table before
    pub old: PathBuf,
    /// The policy or table after
    pub new: PathBuf,
    /// Print one JSON object per change
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Without --token, --claims, --user or --client the request has no credential.\n\
                        Exit status: 0 the request is forwarded, 1 it is refused, 2 could not run.")]
pub struct ExplainArguments {
    /// Plugin configuration (JSON or YAML); what is left out has its default
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Policy (JSON or YAML), in place of the configuration's
    #[arg(long, value_name = "FILE", required_unless_present_any = ["config", "table"])]
    pub policy: Option<PathBuf>,
    /// Table, in place of the configuration's
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub table: Option<PathBuf>,
    /// The caller, by its token; needs --config with the issuer's keys
    #[arg(long, group = "caller", requires = "config")]
    pub token: Option<String>,
    /// The caller, by the claims of a verified token
    #[arg(long, value_name = "JSON", group = "caller")]
    pub claims: Option<String>,
    /// The caller, by username
    #[arg(long, value_name = "USERNAME", group = "caller")]
    pub user: Option<String>,
    /// The caller, by client id
    #[arg(long, value_name = "CLIENT_ID", group = "caller")]
    pub client: Option<String>,
    /// A group of the caller's groups claim; memberships in the policy then do not count
    #[arg(long, value_name = "GROUP_ID", conflicts_with_all = ["token", "claims"])]
    pub group: Vec<String>,
    /// The time to decide at (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// The request's method
    pub method: String,
    /// The request's path, with its query
    pub path: String,
    /// A header of the request
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The request's body, sent as it is; for a gRPC path, its message as JSON
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 every case passed, 1 some failed, 2 could not run (nothing is then run).")]
pub struct TestArguments {
    /// Suites (JSON or YAML)
    #[arg(required = true, value_name = "SUITE")]
    pub suites: Vec<PathBuf>,
    /// Print one JSON object per case
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `operations`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = "Exit status: 0 known, 1 unknown or ambiguous.")]
pub struct OperationsArguments {
    /// What to do instead
    #[command(subcommand)]
    pub command: Option<OperationsCommand>,
    /// Plugin configuration (JSON or YAML): what its version has, with what it adds
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The request's method
    #[arg(requires = "path")]
    pub method: Option<String>,
    /// The request's path
    pub path: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What else to do with operations.
#[derive(Debug, Subcommand)]
pub enum OperationsCommand {
    /// Writes what a specification has and a version lacks, as api.extraOperations
    Import(ImportArguments),
    /// Says what an upgrade of the cluster adds, removes, changes, and would deny
    Diff(OperationsDiffArguments),
}

/// Arguments of `operations import`.
#[derive(Debug, Args)]
#[command(
    after_help = "The operations are written as a configuration's `api` section (YAML). What the specification leaves\n\
                        open, and how it was taken, is said on standard error.\n\
                        Exit status: 0 they are written, 2 they could not be made."
)]
pub struct ImportArguments {
    /// An OpenAPI specification of the cluster (YAML or JSON)
    #[arg(value_name = "OPENAPI")]
    pub specification: PathBuf,
    /// The version to add to: `api.version`
    #[arg(long, value_name = "VERSION", default_value = "8.9")]
    pub api_version: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `operations diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "A and B are versions (8.8, 8.9, 8.10) or OpenAPI specifications (YAML or JSON). A specification knows\n\
                        nothing of gRPC and web applications; it is compared by what both could have.\n\
                        Exit status: 0 nothing changes, 1 something does, 2 could not run."
)]
pub struct OperationsDiffArguments {
    /// The version or specification before
    pub a: String,
    /// The version or specification after
    pub b: String,
    /// Say also which grants of this policy or table lose operations that they give today
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Print one JSON object per change
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Give the manifests of one plugin, its belt among them, as one file.\n\
                        Exit status: 0 guarded (there may be notices), 1 something was found, 2 could not run.")]
pub struct DoctorArguments {
    /// A live Envoy's administration address (http://127.0.0.1:9901), a file of its /config_dump, an
    /// Envoy configuration, or manifests of Istio or Envoy Gateway (JSON or YAML)
    #[arg(required = true, value_name = "CONFIG_DUMP")]
    pub sources: Vec<String>,
    /// The policy that should be in use (JSON or YAML)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Print one JSON object per finding
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = "What the file leaves open is said on standard error.\n\
                        Exit status: 0 the configuration is written, 2 it could not be made.")]
pub struct InitArguments {
    /// Helm values of camunda-platform, or the cluster's Spring configuration (YAML or JSON)
    #[arg(long, value_name = "VALUES", required = true)]
    pub from_camunda: PathBuf,
    /// The configuration's name, in logs, metrics and the belt
    #[arg(long, default_value = "camunda")]
    pub name: String,
    /// The cluster's version
    #[arg(long, value_name = "VERSION", default_value = "8.9")]
    pub api_version: String,
    /// Envoy's cluster that leads to the identity provider
    #[arg(long, value_name = "CLUSTER", default_value = "idp")]
    pub idp_cluster: String,
    /// An audience to accept, in place of those in the file
    #[arg(long, value_name = "AUDIENCE")]
    pub audience: Vec<String>,
}

/// What manifests are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RenderTarget {
    /// An Envoy configuration
    Envoy,
    /// WasmPlugin and EnvoyFilter
    Istio,
    /// TrafficExtension and EnvoyFilter (Istio 1.30 and newer)
    TrafficExtension,
    /// EnvoyExtensionPolicy and EnvoyPatchPolicy
    EnvoyGateway,
}

/// Arguments of `render`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 the manifests are written, 2 they could not be made.")]
pub struct RenderArguments {
    /// What the manifests are for
    pub target: RenderTarget,
    /// Plugin configuration (JSON or YAML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Policy (JSON or YAML), compiled and put in place of the configuration's
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Where the module is (oci://, https://, http://, file://)
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The digest of the module; of an image, its manifest's
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<String>,
    /// The name of the objects
    #[arg(long, default_value = "portcullis")]
    pub name: String,
    /// The namespace of the objects
    #[arg(long, default_value = "default")]
    pub namespace: String,
    /// Istio: a label of the proxies [default: istio=ingressgateway]
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Istio: what the plugin attaches to, in place of labels; waypoints need it
    #[arg(long, value_name = "KIND/NAME")]
    pub target_ref: Vec<String>,
    /// Istio: the proxies are sidecars, not gateways
    #[arg(long)]
    pub sidecar: bool,
    /// Hold headers until the body is judged (`body.gate: hold`). Istio: filter and belt become an
    /// EnvoyFilter
    #[arg(long)]
    pub hold: bool,
    /// Envoy Gateway: an HTTPRoute that leads to the cluster, or `GRPCRoute/NAME`
    #[arg(long, value_name = "[KIND/]NAME")]
    pub route: Vec<String>,
    /// Envoy Gateway: the Gateway
    #[arg(long, value_name = "NAME", default_value = "eg")]
    pub gateway: String,
    /// Envoy Gateway: a listener of the Gateway that needs the belt
    #[arg(long, value_name = "NAME")]
    pub listener: Vec<String>,
}
