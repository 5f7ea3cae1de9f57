//! The small models that calls work on. Each process is a start event and one element.

use std::fmt::Write as _;

const TASK: &str = r#"<serviceTask id="task"><extensionElements><zeebe:taskDefinition type="TYPE"/></extensionElements><incoming>f</incoming></serviceTask>"#;

/// One service task with jobs of that type.
pub fn job(id: &str, job_type: &str) -> String {
    process(id, "", "", &TASK.replace("TYPE", &escaped(job_type)))
}

/// One user task, perhaps with somebody who has it or may claim it.
pub fn user_task(id: &str, assignee: Option<&str>, group: Option<&str>) -> String {
    let mut assignment = String::new();
    for (name, value) in [("assignee", assignee), ("candidateGroups", group)] {
        if let Some(value) = value {
            let _ = write!(assignment, r#" {name}="{}""#, escaped(value));
        }
    }
    if !assignment.is_empty() {
        assignment = format!("<zeebe:assignmentDefinition{assignment}/>");
    }
    let task = format!(
        r#"<userTask id="task"><extensionElements><zeebe:userTask/>{assignment}</extensionElements><incoming>f</incoming></userTask>"#
    );
    process(id, "", "", &task)
}

/// A message starts it.
pub fn message_start(id: &str, name: &str) -> String {
    let message = format!(r#"<message id="m" name="{}"/>"#, escaped(name));
    process(id, &message, r#"<messageEventDefinition messageRef="m"/>"#, END)
}

/// It waits for a message whose correlation key is `k`.
pub fn message_catch(id: &str, name: &str) -> String {
    let message = format!(
        r#"<message id="m" name="{}"><extensionElements><zeebe:subscription correlationKey="=&quot;k&quot;"/></extensionElements></message>"#,
        escaped(name)
    );
    process(id, &message, "", &catch(r#"<messageEventDefinition messageRef="m"/>"#))
}

/// A signal starts it.
pub fn signal_start(id: &str, name: &str) -> String {
    process(id, &signal(name), SIGNALLED, END)
}

/// It waits for a signal.
pub fn signal_catch(id: &str, name: &str) -> String {
    process(id, &signal(name), "", &catch(SIGNALLED))
}

/// An ad-hoc sub-process `adhoc` with one element `inner`.
pub fn ad_hoc(id: &str) -> String {
    let inner = r#"<serviceTask id="inner"><extensionElements><zeebe:taskDefinition type="none"/></extensionElements></serviceTask>"#;
    process(id, "", "", &format!(r#"<adHocSubProcess id="adhoc"><incoming>f</incoming>{inner}</adHocSubProcess>"#))
}

/// It calls another process.
pub fn calls(id: &str, other: &str) -> String {
    extended(id, "callActivity", &format!(r#"<zeebe:calledElement processId="{}"/>"#, escaped(other)))
}

/// It evaluates a decision.
pub fn decides(id: &str, decision: &str) -> String {
    let called = format!(r#"<zeebe:calledDecision decisionId="{}" resultVariable="r"/>"#, escaped(decision));
    extended(id, "businessRuleTask", &called)
}

/// A decision in requirements of its own.
pub fn decision(requirements: &str, decision: &str) -> String {
    let (requirements, decision) = (escaped(requirements), escaped(decision));
    format!(
        r#"<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="{requirements}" name="r" namespace="n"><decision id="{decision}" name="d"><variable id="v" name="d"/><literalExpression id="e"><text>1</text></literalExpression></decision></definitions>"#
    )
}

/// A form.
pub fn form(id: &str) -> String {
    serde_json::json!({ "id": id, "type": "default", "schemaVersion": 16, "components": [] }).to_string()
}

/// A resource of no kind that the cluster knows.
pub fn resource(id: &str) -> String {
    serde_json::json!({ "id": id, "name": id }).to_string()
}

const END: &str = r#"<endEvent id="end"><incoming>f</incoming></endEvent>"#;
const SIGNALLED: &str = r#"<signalEventDefinition signalRef="s"/>"#;

fn signal(name: &str) -> String {
    format!(r#"<signal id="s" name="{}"/>"#, escaped(name))
}

fn catch(definition: &str) -> String {
    format!(r#"<intermediateCatchEvent id="wait"><incoming>f</incoming>{definition}</intermediateCatchEvent>"#)
}

fn extended(id: &str, element: &str, extension: &str) -> String {
    let inside = format!("<extensionElements>{extension}</extensionElements><incoming>f</incoming>");
    process(id, "", "", &format!(r#"<{element} id="it">{inside}</{element}>"#))
}

/// A process: what stands beside it, what starts it, and its element, which has the flow `f` coming in.
fn process(id: &str, beside: &str, start: &str, element: &str) -> String {
    let target = element.split('"').nth(1).unwrap_or_default();
    format!(
        r#"<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">{beside}<process id="{id}" isExecutable="true"><startEvent id="start"><outgoing>f</outgoing>{start}</startEvent><sequenceFlow id="f" sourceRef="start" targetRef="{target}"/>{element}</process></definitions>"#,
        id = escaped(id),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
