"use client";

import { Confirm } from "@/components/ui/Confirm";
import { useDryRun } from "@/hooks/useDryRun";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";
import { flushText, groupText } from "@/lib/incidents";

import styles from "./Plan.module.css";

const REQUEUE_WAIT_S = 10;
const MOST_GROUPS = 50;

/** Which dead letters, in the words of the API. */
export type Selection = { ids: string[] } | { handler: string; error: string; foreign: boolean } | { all: true };

interface Props {
  /** What they are called in a question: "12 × TypeError in fail". */
  what: string;
  selection: Selection;
  onSaid: (said: string) => void;
  onClose: () => void;
}

/** Requeues dead letters: some of each group first, and the others only if those do not die again. */
export function Requeue({ what, selection, onSaid, onClose }: Props) {
  const change = useChange();
  const { plan, problem } = useDryRun<Schemas["RequeueAnswer"]>("/ops/dead/requeue", selection);
  const found = plan?.plan;
  return (
    <Confirm
      title={`Requeue ${what}?`}
      action="Requeue"
      isReady={found !== undefined && found.chosen + found.quarantine > 0}
      onClose={onClose}
      onConfirm={async () => {
        onSaid(flushText(await change<Schemas["RequeueAnswer"]>("POST", "/ops/dead/requeue", { ...selection, wait_s: REQUEUE_WAIT_S })));
      }}
    >
      {found === undefined ? (
        <Pending problem={problem} />
      ) : (
        <>
          <Groups plan={found} verb="requeued" />
          {found.quarantine > 0 && <p>{plural(found.quarantine, "job")} died again too often and would be quarantined instead.</p>}
          {found.unseen > 0 && <p>{count(found.unseen)} more than one look takes in stay as they are.</p>}
          <p>A few of each group go first; the others follow in batches, unless those die again.</p>
        </>
      )}
    </Confirm>
  );
}

/** Removes dead letters for good. */
export function Drop({ what, selection, onSaid, onClose }: Props) {
  const change = useChange();
  const { plan, problem } = useDryRun<Schemas["DropAnswer"]>("/ops/dead/drop", selection);
  return (
    <Confirm
      title={`Drop ${what}?`}
      action="Drop for good"
      tone="grave"
      isReady={plan !== undefined && plan.plan.chosen > 0}
      onClose={onClose}
      onConfirm={async () => {
        const answer = await change<Schemas["DropAnswer"]>("POST", "/ops/dead/drop", selection);
        onSaid(`${plural(answer.dropped, "dead letter")} dropped.`);
      }}
    >
      {plan === undefined ? (
        <Pending problem={problem} />
      ) : (
        <>
          <Groups plan={plan.plan} verb="dropped" />
          <p>They are gone then: nothing brings them back.</p>
        </>
      )}
    </Confirm>
  );
}

function Pending({ problem }: { problem: string | undefined }) {
  return <p aria-busy={problem === undefined}>{problem ?? "Asking what it would do…"}</p>;
}

function Groups({ plan, verb }: { plan: Schemas["DropPlan"]; verb: string }) {
  if (plan.chosen === 0) return <p>Nothing of it is left to be {verb}.</p>;
  return (
    <>
      <p>{plural(plan.chosen, "job")} would be {verb}:</p>
      <ul className={styles.groups} tabIndex={0}>
        {plan.groups.slice(0, MOST_GROUPS).map((group) => (
          <li key={`${group.handler}\n${group.error_class}`}>{groupText(group)}</li>
        ))}
        {plan.groups.length > MOST_GROUPS && <li>and {plural(plan.groups.length - MOST_GROUPS, "more group")}</li>}
      </ul>
    </>
  );
}
