import Link from "next/link";

import { Panel } from "@/components/ui/Panel";
import { Time } from "@/components/ui/Time";
import type { Decision } from "@/lib/api";
import { becauseOf, moveOf, outcomeOf, signOf } from "@/lib/decisions";

import styles from "./Decisions.module.css";

interface Props {
  decisions: Decision[] | null;
  problem: string | undefined;
  isStale: boolean;
}

/** What it did, or did nothing, and why: the last decisions with what would change them. */
export function Decisions({ decisions, problem, isStale }: Props) {
  return (
    <Panel
      title="Why"
      aside={<Link href="/autoscale" prefetch={false}>all decisions</Link>}
      problem={problem}
      isStale={isStale}
      empty={
        decisions?.length === 0 ? (
          <p>
            No decision yet: the autopilot decides within seconds of its start. <code>levqor why</code> says the same.
          </p>
        ) : undefined
      }
    >
      <ol className={styles.list}>
        {(decisions ?? []).map((decision) => (
          <DecisionLine key={decision.id} decision={decision} />
        ))}
      </ol>
    </Panel>
  );
}

function DecisionLine({ decision }: { decision: Decision }) {
  const outcome = outcomeOf(decision);
  return (
    <li className={styles.decision} data-outcome={outcome}>
      <p className={styles.head}>
        <span className={styles.sign} aria-hidden="true">
          {signOf(outcome)}
        </span>
        <strong>{moveOf(decision)}</strong>
        <span className={styles.when}>
          <Time at={decision.at} />
        </span>
      </p>
      <p className={styles.because}>{becauseOf(decision)}</p>
      <p className={styles.next}>{afterwards(decision)}</p>
    </li>
  );
}

/** Why a step was not put in force; else what would have changed it. */
function afterwards(decision: Decision): string {
  const isStep = decision.target !== decision.current;
  return isStep && decision.why_not !== null ? decision.why_not : decision.next;
}
