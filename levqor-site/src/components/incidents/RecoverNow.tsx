"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Pill } from "@/components/ui/Pill";
import { useDryRun } from "@/hooks/useDryRun";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { stepName } from "@/lib/incidents";

import styles from "./Plan.module.css";
import { STEP_TONES } from "./RecoveryCard";

type Answer = Schemas["RecoverAnswer"];
type Scope = "incident" | "all";

/** Recovery by a person's word: the plan first, with the figures of this moment. */
export function RecoverNow() {
  const [isAsking, setAsking] = useState(false);
  const [said, setSaid] = useState("");
  return (
    <>
      <span role="status">{said}</span>
      <Button tone="primary" onClick={() => setAsking(true)}>
        Recover now…
      </Button>
      {isAsking && <Ask onSaid={setSaid} onClose={() => setAsking(false)} />}
    </>
  );
}

function Ask({ onSaid, onClose }: { onSaid: (said: string) => void; onClose: () => void }) {
  const [scope, setScope] = useState<Scope>("incident");
  const change = useChange();
  const { plan, problem } = useDryRun<Answer>("/ops/recover", { dead_letters: scope });

  async function recover() {
    const answer = await change<Answer>("POST", "/ops/recover", { dead_letters: scope, wait_s: 0 });
    onSaid(answer.incident_id === null ? "Nothing to recover from." : `Recovery of incident ${answer.incident_id} has begun.`);
    if (answer.incident_id !== null) window.location.hash = String(answer.incident_id);
  }

  return (
    <Confirm title="Recover now?" action="Recover" isReady={plan?.would_recover === true} onConfirm={recover} onClose={onClose}>
      <label>
        Dead letters to requeue
        <select value={scope} onChange={(event) => setScope(event.target.value === "all" ? "all" : "incident")}>
          <option value="incident">those of this incident</option>
          <option value="all">all of them</option>
        </select>
      </label>
      {plan === undefined ? <p aria-busy={problem === undefined}>{problem ?? "Asking what it would do…"}</p> : <Plan plan={plan} />}
    </Confirm>
  );
}

function Plan({ plan }: { plan: Answer }) {
  if (plan.would_refuse !== null && plan.would_refuse !== undefined) return <p>It would be refused: {plan.would_refuse.reason}</p>;
  if (plan.reasons.length === 0) return <p>There is no cause: nothing fails now, and nothing would be done.</p>;
  return (
    <>
      <p>Because {plan.reasons.join("; ")}:</p>
      <ol className={styles.plan}>
        {plan.steps.map((step) => (
          <li key={step.name}>
            <Pill tone={STEP_TONES[step.status]}>{step.status}</Pill>
            <span>
              <strong>{stepName(step)}</strong> {step.detail}
            </span>
          </li>
        ))}
      </ol>
      {plan.steps.some((step) => step.name === "restart_workers" && step.status === "planned") && <p>Each worker restarts after its job, one after another.</p>}
    </>
  );
}
