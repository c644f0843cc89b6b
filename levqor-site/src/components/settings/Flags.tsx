"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Panel } from "@/components/ui/Panel";
import { Pill } from "@/components/ui/Pill";
import { Cell, Table } from "@/components/ui/Table";
import { Time } from "@/components/ui/Time";
import { useOverview } from "@/hooks/useOverview";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { flagMeaning, flagPurpose } from "@/lib/settings";

import styles from "./Flags.module.css";

type Board = Schemas["FlagBoard"];
type Value = boolean | number;

/** The few switches that are turned while the service runs, and the state of their file. */
export function Flags({ board, isStale }: { board: Board; isStale: boolean }) {
  const [asked, setAsked] = useState<string | null>(null);
  const chosen = asked === null ? undefined : board.flags[asked];
  return (
    <Panel title="Flags" isStale={isStale} aside={<FileState board={board} />}>
      {board.state === "broken" && (
        <p className={styles.broken} role="alert">
          The flags file cannot be read, so nothing automatic acts until it is mended: {board.error ?? "no reason given"}. The last good values stay in force.
        </p>
      )}
      <Table label="Flags" head={["flag", "value", "changed", ""]}>
        {Object.entries(board.flags).map(([name, flag]) => (
          <tr key={name} className={styles.flag}>
            <th scope="row">
              <strong>{name}</strong>
              <span>{flagPurpose(name)}</span>
            </th>
            <Cell of="value">
              <FlagValue value={flag.value} />
            </Cell>
            <Cell of="changed">
              {flag.updated_at === null ? (
                "never"
              ) : (
                <>
                  <Time at={flag.updated_at} /> by {flag.updated_by ?? "unknown"}
                </>
              )}
            </Cell>
            <td>
              <Button aria-label={`${verbOf(flag.value)} ${name}`} onClick={() => setAsked(name)}>
                {verbOf(flag.value)}
              </Button>
            </td>
          </tr>
        ))}
      </Table>
      {asked !== null && chosen !== undefined && <Turn name={asked} value={chosen.value} onClose={() => setAsked(null)} />}
    </Panel>
  );
}

function FileState({ board }: { board: Board }) {
  const tone = board.state === "ok" ? "ok" : board.state === "broken" ? "act" : "unknown";
  return (
    <>
      <Pill tone={tone}>file {board.state}</Pill> <code className={styles.file}>{board.file}</code>
    </>
  );
}

function FlagValue({ value }: { value: Value }) {
  if (typeof value === "number") return <strong>{value}</strong>;
  return <Pill tone={value ? "ok" : "plain"}>{value ? "on" : "off"}</Pill>;
}

function Turn({ name, value, onClose }: { name: string; value: Value; onClose: () => void }) {
  const change = useChange();
  const overview = useOverview().data;
  const [typed, setTyped] = useState(String(value));
  const [wasValue] = useState(value);
  const isNumber = typeof wasValue === "number";
  const wanted: Value = isNumber ? Number(typed) : !wasValue;
  const [low, high] = [overview?.thresholds.workers_min, overview?.thresholds.workers_max];
  const isReady = !isNumber || (/^\d{1,5}$/.test(typed) && wanted !== wasValue);
  return (
    <Confirm
      title={isNumber ? `Change ${name}?` : `Turn ${name} ${wanted ? "on" : "off"}?`}
      action={isNumber ? "Change" : wanted ? "Turn on" : "Turn off"}
      isReady={isReady}
      onClose={onClose}
      onConfirm={async () => {
        await change<Schemas["FlagTurned"]>("PUT", `/ops/flags/${encodeURIComponent(name)}`, { value: wanted });
      }}
    >
      {isNumber && (
        <label>
          Workers{low !== undefined && high !== undefined && `, from ${low} to ${high}`}
          <input
            type="number"
            inputMode="numeric"
            required
            step={1}
            value={typed}
            {...(low === undefined ? {} : { min: low })}
            {...(high === undefined ? {} : { max: high })}
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
      )}
      <p>{flagMeaning(name, wanted, overview?.status.mode === "act", overview?.status.fleet_kind ?? "")}</p>
      <p>It holds from the next tick on and is written to the flags file and to the audit log.</p>
    </Confirm>
  );
}

function verbOf(value: boolean | number): string {
  if (typeof value === "number") return "Change…";
  return value ? "Turn off…" : "Turn on…";
}
