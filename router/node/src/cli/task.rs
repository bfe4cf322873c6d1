//! `d402 task`

use clap::Args;
use d402_objects::Cid;

use super::{Failure, Output};
use crate::buyer::GatewayClient;

/// Shows what a gateway says about a task, or its result.
#[derive(Args)]
pub(super) struct TaskArgs {
    /// Task CID.
    task_id: Cid,
    /// Gateway origin.
    #[arg(long, env = "D402_GATEWAY", default_value = "http://127.0.0.1:7401")]
    gateway: String,
    /// Access token of the buyer.
    #[arg(long, env = "D402_TOKEN")]
    token: Option<String>,
    /// Print the result document instead.
    #[arg(long)]
    result: bool,
}

pub(super) async fn run(args: TaskArgs, output: Output) -> Result<(), Failure> {
    let gateway = GatewayClient::new(&args.gateway)?;
    let path = if args.result {
        format!("/tasks/{}/result", args.task_id)
    } else {
        format!("/tasks/{}", args.task_id)
    };
    let task = gateway.get_json(&path, args.token.as_deref()).await?;
    output.document(&task);
    output.heading(args.task_id);
    if let Some(fields) = task.as_object() {
        for (name, value) in fields {
            match value.as_str() {
                Some(text) => output.field(name, text),
                None => output.field(name, value),
            }
        }
    }
    Ok(())
}
