// The official REST client. Addresses and credentials come from CAMUNDA_* in the environment.
// The cluster is of version 8.6, which calls `key` what later versions call `jobKey`.
import { createCamundaClient } from '@camunda8/orchestration-cluster-api';
import { model, run, until } from './steps.mjs';

const camunda = createCamundaClient();
const type = 'rest-work';
const file = new File([model('order', type)], 'order.bpmn', { type: 'application/xml' });

const activate = async () => {
  const jobs = () => camunda.activateJobs({ type, worker: 'w', timeout: 60_000, maxJobsToActivate: 1, requestTimeout: 5_000 });
  const job = await until('a job', async () => (await jobs()).jobs[0]);
  return job.jobKey ?? job.key;
};
const start = () => camunda.createProcessInstance({ processDefinitionId: 'order' });

const failure = (error) => ({
  status: error.status ?? error.response?.status ?? null,
  detail: String(error.detail ?? error.message).slice(0, 200),
});

await run(
  [
    ['getTopology', () => camunda.getTopology()],
    ['createDeployment', () => camunda.createDeployment({ resources: [file] })],
    ['createProcessInstance', start],
    ['activateJobs', (done) => done.createProcessInstance && activate()],
    ['failJob', (done) => camunda.failJob({ jobKey: done.activateJobs ?? '2251799813685249', retries: 1 }).then(() => true)],
    ['activateJobs again', (done) => done.failJob && activate()],
    ['completeJob', (done) => camunda.completeJob({ jobKey: done['activateJobs again'] ?? '2251799813685249' }).then(() => true)],
    ['publishMessage', () => camunda.publishMessage({ name: 'paid', correlationKey: '7', timeToLive: 0 })],
  ],
  failure,
);
