"use client";

import { Pill, type Tone } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import { useNow } from "@/hooks/useNow";
import { factsOf, type Recovery, type Step, stepName, stepTimes, type TimedStep } from "@/lib/incidents";

import styles from "./RecoveryCard.module.css";

export const STEP_TONES: Record<Step["status"], Tone> = {
  planned: "plain",
  running: "watch",
  done: "ok",
  failed: "act",
  skipped: "plain",
  interrupted: "unknown",
};
const VERDICTS: Record<NonNullable<Recovery["verified"]>, { tone: Tone; text: string }> = {
  helped: { tone: "ok", text: "it helped" },
  no_effect: { tone: "act", text: "no effect" },
  unknown: { tone: "unknown", text: "effect unknown" },
  superseded: { tone: "plain", text: "superseded by a later one" },
  acknowledged: { tone: "plain", text: "no effect, acknowledged" },
};

/** What was done at once about an incident: who called, why, each step, and whether it helped. */
export function RecoveryCard({ recovery }: { recovery: Recovery }) {
  const now = useNow();
  return (
    <section className={styles.card} aria-label={`Recovery ${recovery.id}`}>
      <header className={styles.head}>
        <strong>
          {recovery.is_automatic ? "Recovered by itself" : "Recovery"}, called by {recovery.actor}
        </strong>
        <Time at={recovery.started_at} />
        <State recovery={recovery} />
      </header>
      <p className={styles.reasons}>because {recovery.reasons.join("; ") || "it was asked for"}</p>
      <ol>
        {recovery.steps.map((step) => (
          <StepRow key={step.name} step={step} times={stepTimes(step, now)} />
        ))}
      </ol>
    </section>
  );
}

function State({ recovery }: { recovery: Recovery }) {
  if (recovery.state === "running") return <Pill tone="watch">acts now</Pill>;
  if (recovery.state === "verifying") return <Pill tone="watch">being watched: does it help?</Pill>;
  const verdict = recovery.verified === null ? undefined : VERDICTS[recovery.verified];
  return <Pill tone={verdict?.tone ?? "unknown"}>{verdict?.text ?? "not judged"}</Pill>;
}

function StepRow({ step, times }: { step: TimedStep; times: string }) {
  return (
    <li className={styles.step}>
      <div className={styles.head}>
        <Pill tone={STEP_TONES[step.status]}>{step.status}</Pill>
        <strong>{stepName(step)}</strong>
        <span className={styles.quiet}>{times}</span>
      </div>
      {step.detail !== "" && <p className={styles.detail}>{step.detail}</p>}
      {(step.before !== null || step.after !== null) && (
        <details className={styles.measured} open={step.status === "running"}>
          <summary>before and after</summary>
          <div className={styles.sides}>
            <Side name="before" measured={step.before} />
            <Side name="after" measured={step.after} />
          </div>
        </details>
      )}
    </li>
  );
}

function Side({ name, measured }: { name: string; measured: Record<string, unknown> | null }) {
  const facts = factsOf(measured);
  return (
    <section>
      <h3>{name}</h3>
      {facts.length === 0 ? (
        <p className={styles.quiet}>not measured</p>
      ) : (
        <dl>
          {facts.map((fact) => (
            <div key={fact.name}>
              <dt>{fact.name}</dt>
              <dd>{fact.text}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}
