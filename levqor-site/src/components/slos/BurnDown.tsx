import { useMemo } from "react";

import { type ChartLine, TimeChart } from "@/components/TimeChart";
import { Panel } from "@/components/ui/Panel";
import type { Budget, Chart } from "@/lib/api";
import { percent } from "@/lib/format";

const HEIGHT = 180;
const LINES: readonly { name: string; rate: (chart: Chart, hour: number) => number | null; weight: "requests" | "hours"; token: string }[] = [
  { name: "latency", rate: (chart, hour) => valueOf(chart, "slow_rate", hour), weight: "requests", token: "--series-1" },
  { name: "errors", rate: (chart, hour) => valueOf(chart, "error_rate", hour), weight: "requests", token: "--series-2" },
  { name: "availability", rate: downRate, weight: "hours", token: "--series-3" },
];

interface Props {
  month: Chart | undefined;
  budgets: Record<string, Budget>;
  problem: string | undefined;
}

/** How each budget was used up over the 30 days: it begins whole, and what was bad takes its share. */
export function BurnDown({ month, budgets, problem }: Props) {
  const lines = useMemo(() => (month === undefined ? [] : linesOf(month, budgets)), [month, budgets]);
  const isEmpty = month !== undefined && lines.every((line) => line.values.every((value) => value === null));
  return (
    <Panel title="Error budgets, burn-down" problem={problem} empty={isEmpty ? <p>Nothing was measured in these 30 days.</p> : undefined}>
      {month !== undefined && (
        <TimeChart title="Share left" at={month.at} lines={lines} thresholds={[{ value: 0, label: "used up" }]} height={HEIGHT} group="budgets" />
      )}
    </Panel>
  );
}

function linesOf(month: Chart, budgets: Record<string, Budget>): ChartLine[] {
  return LINES.map(({ name, rate, weight, token }) => ({
    label: name,
    token,
    format: (value: number) => percent(value),
    values: leftOf(
      month.at.map((_, hour) => rate(month, hour)),
      month.at.map((_, hour) => (weight === "hours" ? 1 : (valueOf(month, "requests", hour) ?? 0))),
      budgets[name]?.allowed ?? 0,
    ),
  }));
}

/** What is left after each hour: 1 less the bad so far, over what the whole span allows. An hour that was not measured is a gap. */
export function leftOf(rates: readonly (number | null)[], weights: readonly number[], allowed: number): (number | null)[] {
  const total = rates.reduce<number>((sum, rate, hour) => (rate === null ? sum : sum + (weights[hour] ?? 0)), 0);
  let bad = 0;
  return rates.map((rate, hour) => {
    if (rate === null || total === 0 || allowed <= 0) return null;
    bad += rate * (weights[hour] ?? 0);
    return 1 - bad / (allowed * total);
  });
}

function valueOf(chart: Chart, line: string, hour: number): number | null {
  return chart.lines[line]?.[hour] ?? null;
}

function downRate(chart: Chart, hour: number): number | null {
  const up = valueOf(chart, "availability", hour);
  return up === null ? null : 1 - up;
}
