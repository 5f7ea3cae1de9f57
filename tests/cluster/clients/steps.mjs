// Runs named steps in turn; each that has run is one line of JSON on standard output. A step that
// the one before it was needed for, and that has failed, is left out.

const line = (object) => process.stdout.write(JSON.stringify(object) + '\n');

/** @param steps pairs of a name and a function, which gets what the steps before it have returned */
export async function run(steps, failure) {
  const results = {};
  for (const [name, step] of steps) {
    try {
      const result = await step(results);
      if (result === undefined) continue;
      results[name] = result;
      line({ step: name, ok: true });
    } catch (error) {
      line({ step: name, ok: false, ...failure(error) });
    }
  }
}

/** A process with one task whose jobs have that type. */
export const model = (id, type) => `<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="portcullis">
  <bpmn:process id="${id}" isExecutable="true">
    <bpmn:startEvent id="start"><bpmn:outgoing>f</bpmn:outgoing></bpmn:startEvent>
    <bpmn:sequenceFlow id="f" sourceRef="start" targetRef="task"/>
    <bpmn:serviceTask id="task">
      <bpmn:extensionElements><zeebe:taskDefinition type="${type}"/></bpmn:extensionElements>
      <bpmn:incoming>f</bpmn:incoming>
    </bpmn:serviceTask>
  </bpmn:process>
</bpmn:definitions>`;

/** Asks again until there is an answer. */
export async function until(what, probe) {
  const end = Date.now() + 30_000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
  }
}
