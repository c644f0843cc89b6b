"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Pill, type Tone } from "@/components/ui/Pill";
import { Cell, Table } from "@/components/ui/Table";
import { Time } from "@/components/ui/Time";
import type { Read } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { count, milliseconds, span } from "@/lib/format";

import styles from "./Verify.module.css";

type Verification = Schemas["Verification"];
type Check = Schemas["VerifyCheck"];

const TONES: Record<Verification["state"], Tone> = { passed: "ok", failed: "act", broken: "act", never: "unknown" };
const OUTCOMES: Record<Check["outcome"], { tone: Tone; text: string }> = {
  PASS: { tone: "ok", text: "pass" },
  FAIL: { tone: "act", text: "fail" },
  SKIP: { tone: "plain", text: "skip" },
};

/** Is this installation sound? The last report check by check, and one click for a new one. */
export function Verify({ read }: { read: Read<Verification> }) {
  const [isAsking, setAsking] = useState(false);
  const running = read.data?.running ?? null;
  return (
    <>
      <ReadPanel
        title="Verification"
        read={read}
        aside={
          <>
            {running !== null && <Underway running={running} />}
            <Button disabled={running !== null} onClick={() => setAsking(true)}>
              Verify now…
            </Button>
          </>
        }
        empty={({ state }) =>
          state === "never" && (
            <p>
              Never verified so far. <code>levqor verify</code> does it too; the schedule does it each night.
            </p>
          )
        }
      >
        {(found) => <Found found={found} />}
      </ReadPanel>
      {isAsking && <Ask onClose={() => setAsking(false)} />}
    </>
  );
}

function Underway({ running }: { running: Schemas["VerifyBegun"] }) {
  const now = useNow();
  return (
    <span role="status">
      <Pill tone="watch">runs{now > 0 && `, ${span((now - Date.parse(running.at)) / 1000)}`}</Pill>
    </span>
  );
}

function Ask({ onClose }: { onClose: () => void }) {
  const change = useChange();
  return (
    <Confirm
      title="Verify this installation?"
      action="Verify"
      onClose={onClose}
      onConfirm={async () => {
        await change<Schemas["VerifyAnswer"]>("POST", "/ops/verify", { wait_s: 0 });
      }}
    >
      <p>
        A process of its own checks the service's doors, the database, the logs and the schedule, and restores the newest backup into a scratch place. It
        changes nothing, and takes from a few seconds to a few minutes.
      </p>
    </Confirm>
  );
}

function Found({ found }: { found: Verification }) {
  const report = found.report;
  return (
    <div className={styles.found}>
      <p>
        <Pill tone={TONES[found.state]}>{found.state}</Pill>{" "}
        {found.at !== null && (
          <>
            <Time at={found.at} />, asked by {found.actor ?? "unknown"}
          </>
        )}
        {report !== null && "checks" in report && <span className={styles.quiet}> {countsText(report)}</span>}
      </p>
      {report !== null && "error" in report && <p className={styles.problem}>It left no report: {report.error}</p>}
      {report !== null && "checks" in report && <Report report={report} />}
    </div>
  );
}

function countsText(report: Schemas["VerifyReport"]): string {
  const { pass = 0, fail = 0, skip = 0, not_run: notRun = 0 } = report.counts;
  const rest = notRun > 0 ? `, ${count(notRun)} not run after ${report.failed_at ?? "the failure"}` : "";
  return `${count(pass)} passed, ${count(fail)} failed, ${count(skip)} skipped${rest}, in ${span(report.duration_s)}`;
}

function Report({ report }: { report: Schemas["VerifyReport"] }) {
  return (
    <Table label="Checks" head={["outcome", "check", "expected", "seen", "took"]}>
      {report.checks.map((check) => (
        <tr key={`${check.stage}/${check.id}`}>
          <td>
            <Pill tone={OUTCOMES[check.outcome].tone}>{OUTCOMES[check.outcome].text}</Pill>
          </td>
          <th scope="row">
            {check.stage}: {check.id}
          </th>
          <Cell of="expected">{check.expected}</Cell>
          <Cell of="seen">{[check.seen, check.reason].filter(Boolean).join("; ") || "nothing"}</Cell>
          <Cell of="took"><span className={styles.took}>{milliseconds(check.duration_s * 1000)}</span></Cell>
        </tr>
      ))}
    </Table>
  );
}
