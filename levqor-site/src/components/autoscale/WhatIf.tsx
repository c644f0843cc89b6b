"use client";

import { useDeferredValue, useState } from "react";

import { Button } from "@/components/ui/Button";
import { Panel } from "@/components/ui/Panel";
import { useApi } from "@/hooks/useApi";
import type { Schemas } from "@/lib/api";
import { slidersFor } from "@/lib/rules";

import styles from "./WhatIf.module.css";

type DryRun = Schemas["Decision"];

const POLL_MS = 5000;

/** The decision now, or what it would be if: asked of the same rules, changing nothing. */
export function WhatIf() {
  const [given, setGiven] = useState<Readonly<Record<string, number>>>({});
  const asked = useDeferredValue(given);
  const query = new URLSearchParams(Object.entries(asked).map(([name, value]) => [name, String(value)])).toString();
  const answer = useApi<DryRun>(`/ops/autoscale/dryrun${query === "" ? "" : `?${query}`}`, POLL_MS);
  const decision = answer.data;
  return (
    <Panel
      title={query === "" ? "What it would do now" : "What it would do if"}
      aside={query !== "" && <Button onClick={() => setGiven({})}>As measured</Button>}
      problem={decision === undefined ? answer.error?.message : undefined}
    >
      {decision !== undefined && (
        <div className={styles.answer} aria-live="polite">
          <p className={styles.action}>
            {decision.action.replace("_", " ")}: {decision.current} → {decision.target}
          </p>
          <ul>
            {decision.reasons.map((reason) => (
              <li key={reason.code + reason.text} data-votes={reason.votes}>
                {reason.text}
              </li>
            ))}
          </ul>
          <p className={styles.next}>{decision.next}</p>
        </div>
      )}
      {(decision === undefined ? [] : slidersFor(decision)).map((slider) => (
        <label key={slider.name} className={styles.slider}>
          <span>
            {slider.label} <strong>{slider.name in given ? slider.format(given[slider.name] ?? 0) : "as measured"}</strong>
          </span>
          <input
            type="range"
            min={0}
            max={slider.max}
            step={slider.step}
            value={given[slider.name] ?? 0}
            onChange={(event) => setGiven({ ...given, [slider.name]: Number(event.target.value) })}
          />
        </label>
      ))}
    </Panel>
  );
}
