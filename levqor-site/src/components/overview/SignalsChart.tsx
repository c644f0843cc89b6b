import { useMemo } from "react";

import { TimeChart } from "@/components/TimeChart";
import { Panel } from "@/components/ui/Panel";
import type { Chart, Thresholds } from "@/lib/api";
import type { Threshold } from "@/lib/charts";
import { count, milliseconds, span } from "@/lib/format";
import { deployMarks } from "@/lib/marks";
import type { Rule } from "@/lib/rules";

const GROUP = "signals";
const HEIGHT = 134;

interface Props {
  chart: Chart | null;
  /** Whose lines are drawn: `wait` looks at none of the thresholds. */
  rule: Rule | undefined;
  title?: string;
  problem?: string | undefined;
  isStale: boolean;
  height?: number;
}

/** Latency, queue and workers under one cursor, with the lines that the rule looks at and the deploys. */
export function SignalsChart({ chart, rule, title = "The last hour", problem, isStale, height = HEIGHT }: Props) {
  const lines = useMemo(() => (chart === null ? null : linesOf(chart)), [chart]);
  const marks = useMemo(() => deployMarks(chart?.deploys ?? []), [chart]);
  const isEmpty = chart !== null && chart.at.length === 0;
  return (
    <Panel
      title={title}
      problem={problem}
      isStale={isStale}
      empty={
        isEmpty ? (
          <p>
            The first minute is not over yet. <code>levqor demo</code> brings a real load to look at.
          </p>
        ) : undefined
      }
    >
      {chart !== null && lines !== null && (
        <>
          <TimeChart
            title="Latency"
            at={chart.at}
            lines={lines.latency}
            thresholds={rule === "threshold" ? latencyLevels(chart.thresholds) : []}
            marks={marks}
            height={height}
            group={GROUP}
            hasTimes={false}
          />
          <TimeChart
            title="Queue"
            at={chart.at}
            lines={lines.queue}
            thresholds={rule === "threshold" ? queueLevels(chart.thresholds) : []}
            marks={marks}
            height={height}
            group={GROUP}
            hasTimes={false}
          />
          <TimeChart title="Workers" at={chart.at} lines={lines.workers} marks={marks} height={height} group={GROUP} />
        </>
      )}
    </Panel>
  );
}

function latencyLevels({ scale_up_p95_ms: up, scale_down_p95_ms: calm }: Thresholds): Threshold[] {
  return [
    { value: up, label: `up above ${milliseconds(up)}` },
    { value: calm, label: `calm below ${milliseconds(calm)}` },
  ];
}

function queueLevels({ scale_up_depth: up }: Thresholds): Threshold[] {
  return [{ value: up, label: `up above ${up}` }];
}

function linesOf(chart: Chart) {
  const values = (name: string) => chart.lines[name] ?? [];
  return {
    latency: [{ label: "P95", token: "--series-1", values: values("p95_ms"), format: milliseconds }],
    queue: [
      { label: "waiting", token: "--series-1", values: values("queue_depth"), format: count },
      { label: "oldest wait", token: "--series-2", values: values("oldest_wait_s"), isDashed: true, isOnRight: true, format: span },
    ],
    workers: [
      { label: "target", token: "--series-4", values: values("target"), isStepped: true, isDashed: true, format: count },
      { label: "running", token: "--series-3", values: values("workers"), isStepped: true, format: count },
    ],
  };
}
