// The official client of the gRPC API. Addresses and credentials come from the environment.
import { Camunda8 } from '@camunda8/sdk';
import { model, run, until } from './steps.mjs';

const zeebe = new Camunda8().getZeebeGrpcApiClient();
const type = 'grpc-work';
const streamed = 'streamed-work';

const activate = () =>
  until('a job', async () => {
    const request = { type, worker: 'w', timeout: 60_000, maxJobsToActivate: 1, requestTimeout: 5_000 };
    return (await zeebe.activateJobs(request))[0]?.key;
  });
const deploy = (id, jobType) =>
  zeebe.deployResource({ name: `${id}.bpmn`, process: Buffer.from(model(id, jobType)) });
const start = (bpmnProcessId) => zeebe.createProcessInstance({ bpmnProcessId, variables: {} });

/**
 * Opens a stream of jobs, and waits for one that comes by it. Jobs that are made before the broker
 * knows of the stream do not, so instances are started until one does.
 */
const stream = async () => {
  let key;
  const taskHandler = (job) => {
    key = job.key;
    return job.complete();
  };
  await zeebe.streamJobs({ type: streamed, worker: 'w', timeout: 60_000, tenantIds: [], taskHandler });
  return until('a job by the stream', async () => {
    await start('streamed');
    await new Promise((resolve) => setTimeout(resolve, 200));
    return key;
  });
};

const failure = (error) => ({ code: error.code ?? null, detail: String(error.details ?? error.message).slice(0, 200) });

await run(
  [
    ['Topology', () => zeebe.topology()],
    ['DeployResource', () => deploy('order', type)],
    ['CreateProcessInstance', () => start('order')],
    ['ActivateJobs', (done) => done.CreateProcessInstance && activate()],
    ['FailJob', (done) => zeebe.failJob({ jobKey: done.ActivateJobs ?? '2251799813685249', retries: 1, errorMessage: 'once more', retryBackOff: 0 }).then(() => true)],
    ['ActivateJobs again', (done) => done.FailJob && activate()],
    ['CompleteJob', (done) => zeebe.completeJob({ jobKey: done['ActivateJobs again'] ?? '2251799813685249', variables: {} }).then(() => true)],
    ['PublishMessage', () => zeebe.publishMessage({ name: 'paid', correlationKey: '7', timeToLive: 0, variables: {} })],
    ['StreamActivatedJobs', (done) => done.DeployResource && deploy('streamed', streamed).then(stream)],
  ],
  failure,
);
await zeebe.close();
process.exit(0);
