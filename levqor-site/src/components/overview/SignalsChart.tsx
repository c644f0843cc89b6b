import { useMemo } from "react";

import { TimeChart } from "@/components/TimeChart";
import { Panel } from "@/components/ui/Panel";
import type { Chart } from "@/lib/api";
import { count, milliseconds, span } from "@/lib/format";

const GROUP = "signals";
const HEIGHT = 134;

interface Props {
  chart: Chart | null;
  title?: string;
  problem?: string | undefined;
  isStale: boolean;
  height?: number;
}

/** Latency, queue and workers under one cursor, with the lines that the rules look at. */
export function SignalsChart({ chart, title = "The last hour", problem, isStale, height = HEIGHT }: Props) {
  const lines = useMemo(() => (chart === null ? null : linesOf(chart)), [chart]);
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
            thresholds={[
              { value: chart.thresholds.scale_up_p95_ms, label: `up above ${milliseconds(chart.thresholds.scale_up_p95_ms)}` },
              { value: chart.thresholds.scale_down_p95_ms, label: `calm below ${milliseconds(chart.thresholds.scale_down_p95_ms)}` },
            ]}
            height={height}
            group={GROUP}
            hasTimes={false}
          />
          <TimeChart
            title="Queue"
            at={chart.at}
            lines={lines.queue}
            thresholds={[{ value: chart.thresholds.scale_up_depth, label: `up above ${chart.thresholds.scale_up_depth}` }]}
            height={height}
            group={GROUP}
            hasTimes={false}
          />
          <TimeChart title="Workers" at={chart.at} lines={lines.workers} height={height} group={GROUP} />
        </>
      )}
    </Panel>
  );
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
