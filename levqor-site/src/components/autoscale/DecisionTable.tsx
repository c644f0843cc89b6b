"use client";

import { useState } from "react";

import { Panel } from "@/components/ui/Panel";
import { Pill } from "@/components/ui/Pill";
import { Tabs } from "@/components/ui/Tabs";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import type { Decision, Schemas } from "@/lib/api";
import { becauseOf, codeWords, moveOf, outcomeOf, signOf } from "@/lib/decisions";
import { inputText, nameOf } from "@/lib/inputs";
import { promisesMeaning, promisesText } from "@/lib/promises";

import styles from "./DecisionTable.module.css";

const POLL_MS = 10_000;
const PAGE = 50;
const MOST = 1000;
const KINDS = ["changes", "every tick"] as const;
type Kind = (typeof KINDS)[number];

interface Answer {
  decisions: Decision[];
}

interface Props {
  /** Undefined: not asked yet. */
  promises: Schemas["PromiseScore"] | null | undefined;
}

/** Past decisions, the newest first; each opens to everything that it read. */
export function DecisionTable({ promises }: Props) {
  const [kind, setKind] = useState<Kind>("changes");
  const [limit, setLimit] = useState(PAGE);
  const changes = kind === "changes";
  const answer = useApi<Answer>(`/ops/autoscale/decisions?limit=${limit}&changes=${changes}`, POLL_MS);
  const now = useNow();
  const decisions = answer.data?.decisions ?? [];
  return (
    <Panel
      title="Decisions"
      aside={
        <>
          {promises !== undefined && <Promises score={promises} />}
          <Tabs label="Which decisions" options={KINDS} value={kind} onChange={setKind} />
        </>
      }
      problem={answer.data === undefined ? answer.error?.message : undefined}
      isStale={answer.isStaleAt(now)}
      empty={answer.data !== undefined && decisions.length === 0 ? <p>No decision yet.</p> : undefined}
    >
      <ol className={styles.list}>
        {decisions.map((decision) => (
          <li key={decision.id}>
            <details className={styles.decision}>
              <summary>
                <span className={styles.when}>
                  <Time at={decision.at} />
                </span>
                <span className={styles.move} data-outcome={outcomeOf(decision)}>
                  <span aria-hidden="true">{signOf(outcomeOf(decision))}</span> {moveOf(decision)}
                </span>
                <span className={styles.because}>{becauseOf(decision)}</span>
                {decision.actor !== null && <Pill tone="plain">by {decision.actor}</Pill>}
              </summary>
              <Inside decision={decision} />
            </details>
          </li>
        ))}
      </ol>
      {decisions.length === limit && limit < MOST && (
        <button type="button" className={styles.more} onClick={() => setLimit(Math.min(MOST, limit * 2))}>
          Show more
        </button>
      )}
    </Panel>
  );
}

/** How often a step up did what it said. */
function Promises({ score }: { score: Schemas["PromiseScore"] | null }) {
  const text = promisesText(score);
  return text === null ? null : <span title={promisesMeaning(score)}>{text}</span>;
}

function Inside({ decision }: { decision: Decision }) {
  return (
    <div className={styles.inside}>
      <section>
        <h3>What every rule said</h3>
        <ul>
          {decision.reasons.map((reason) => (
            <li key={reason.code + reason.text} data-votes={reason.votes}>
              <strong title={reason.code}>{codeWords(reason.code)}</strong>: {reason.text}
              {!reason.votes && " (a note, no vote)"}
            </li>
          ))}
        </ul>
        <p>What would change it: {decision.next}</p>
        {decision.why_not !== null && <p>Not put in force: {decision.why_not}</p>}
      </section>
      <section>
        <h3>What it read</h3>
        <table>
          <tbody>
            {Object.entries(decision.inputs).map(([name, signal]) => (
              <tr key={name}>
                <th scope="row">{nameOf(name)}</th>
                <td>{inputText(name, signal)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}
