import { DayPlot, type Plot } from "@/components/DayPlot";
import { type Key, Legend } from "@/components/Legend";
import { Panel } from "@/components/ui/Panel";
import type { Schemas } from "@/lib/api";
import { dayText, longDay } from "@/lib/days";
import { money, UNKNOWN } from "@/lib/format";
import { rangeOf } from "@/lib/scale";

import { blocksOf, dayWords, isInSight, levelsOf, PARTS, type SpendDay, spendDays, totalOf } from "./spendDays";
import styles from "./SpendChart.module.css";

type CostDays = Schemas["CostDays"];
type Forecast = Schemas["CostForecast"];

const HEIGHT = 280;
const WORDS_WIDTH = 140;

interface Props {
  costs: CostDays | undefined;
  forecast: Forecast | undefined;
  problem: string | undefined;
  isStale: boolean;
}

/** What each of the last days cost, stacked, and what the next ones are expected to. */
export function SpendChart({ costs, forecast, problem, isStale }: Props) {
  const days = costs === undefined ? [] : spendDays(costs, forecast);
  const isEmpty = days.every((day) => day.forecast === null && totalOf(day.amounts) === null);
  return (
    <Panel
      title="Cost by day"
      aside={costs !== undefined && <span>UTC days, {costs.currency.toUpperCase()}</span>}
      problem={problem}
      isStale={isStale}
      empty={costs === undefined ? <p aria-busy="true">Adding up…</p> : isEmpty ? <NothingYet /> : undefined}
    >
      {costs !== undefined && <Chart days={days} currency={costs.currency} forecast={forecast} />}
    </Panel>
  );
}

function NothingYet() {
  return (
    <p>
      Nothing has cost anything yet. <code>levqor costs add --source infra --amount 46</code> adds a line by hand, <code>levqor costs import FILE</code>{" "}
      a whole file; <code>WORKER_HOURLY_COST</code> and <code>COST_CONSTANTS</code> say what workers and services cost, and{" "}
      <code>STRIPE_SECRET_KEY</code> and <code>OPENAI_ADMIN_KEY</code> have theirs read every hour.
    </p>
  );
}

function Chart({ days, currency, forecast }: { days: SpendDay[]; currency: string; forecast: Forecast | undefined }) {
  const format = (value: number) => money(value, currency);
  const levels = levelsOf(days);
  const limit = forecast?.limit ?? null;
  const isLimitDrawn = limit !== null && isInSight(limit, levels);
  const expected = days.findIndex((day) => day.forecast !== null);
  const hasForecast = expected >= 0;
  const hasGuarded = limit !== null && days.some((day) => day.forecast !== null && day.forecast.guarded !== null && day.forecast.guarded !== day.forecast.cost);
  const breach = days.findIndex((day) => day.day === forecast?.limit_breach_date);
  return (
    <>
      <Legend keys={keysOf(days, hasForecast, hasGuarded, limit === null ? null : format(limit), isLimitDrawn)} />
      <DayPlot
        label={`Cost of ${days.filter((day) => day.amounts.length > 0).length} days by category${hasForecast ? ", and the forecast with its band" : ""}; the table below has the figures`}
        columns={days.map((day) => dayText(day.day))}
        range={rangeOf([...levels, ...(isLimitDrawn ? [limit] : [])])}
        format={(value) => value.toLocaleString("en-GB", { maximumFractionDigits: 6 })}
        height={HEIGHT}
        border={hasForecast ? expected : undefined}
        titles={days.map((day) => dayWords(day, format))}
      >
        {(plot) => (
          <>
            <Bars days={days} plot={plot} />
            {hasForecast && <Expected days={days} plot={plot} hasGuarded={hasGuarded} />}
            {isLimitDrawn && <line className={styles.limit} x1={plot.left} x2={plot.right} y1={plot.y(limit)} y2={plot.y(limit)} />}
            {breach >= 0 && <Breach column={breach} plot={plot} text={`${dayText(days[breach]?.day ?? "")}: above the limit`} />}
          </>
        )}
      </DayPlot>
      <p className={styles.note}>{noteOf(forecast, hasForecast)}</p>
      <Table days={days} format={format} hasForecast={hasForecast} />
    </>
  );
}

function keysOf(days: SpendDay[], hasForecast: boolean, hasGuarded: boolean, limit: string | null, isLimitDrawn: boolean): Key[] {
  const keys: Key[] = PARTS.filter((_, part) => days.some((day) => (day.amounts[part] ?? null) !== null)).map((part) => ({
    label: part.label,
    series: part.series,
    shape: "block",
  }));
  if (hasForecast) keys.push({ label: "expected, with its band", series: "quiet", shape: "line" });
  if (hasGuarded) keys.push({ label: "of that, what the limit counts", series: "quiet", shape: "dashed" });
  if (limit !== null) keys.push({ label: isLimitDrawn ? "daily limit" : "daily limit, far above", series: "limit", shape: "dashed", value: limit });
  return keys;
}

function noteOf(forecast: Forecast | undefined, hasForecast: boolean): string {
  const today = "Today is paler: it is not over.";
  if (!hasForecast) return `${today} ${forecast === undefined ? "" : "No forecast yet: it begins with the first whole day of cost."}`;
  const of = forecast?.limit == null ? "" : ` The limit counts ${forecast.guard_categories.join(", ")}.`;
  const breach =
    forecast?.limit == null
      ? " No DAILY_SPEND_LIMIT is set."
      : forecast.limit_breach_date === null
        ? " No day of the next 30 is expected above it."
        : ` The first day that is expected above it: ${longDay(forecast.limit_breach_date)}.`;
  return today + of + breach;
}

function Bars({ days, plot }: { days: SpendDay[]; plot: Plot }) {
  const width = Math.max(1, plot.columnWidth * 0.78);
  return days.flatMap((day, column) =>
    blocksOf(day.amounts).map((block) => (
      <rect
        key={`${day.day} ${block.part}`}
        className={styles.block}
        data-series={PARTS[block.part]?.series}
        data-today={day.isToday || undefined}
        x={plot.x(column) - width / 2}
        width={width}
        y={plot.y(Math.max(block.from, block.to))}
        height={Math.abs(plot.y(block.from) - plot.y(block.to))}
      />
    )),
  );
}

function Expected({ days, plot, hasGuarded }: { days: SpendDay[]; plot: Plot; hasGuarded: boolean }) {
  const path = (value: (forecast: NonNullable<SpendDay["forecast"]>) => number | null) =>
    days.flatMap((day, column) => {
      const level = day.forecast === null ? null : value(day.forecast);
      return level === null ? [] : [`${plot.x(column).toFixed(1)} ${plot.y(level).toFixed(1)}`];
    });
  const band = [...path((forecast) => forecast.high), ...path((forecast) => forecast.low).reverse()];
  return (
    <>
      {band.length > 0 && <path className={styles.band} d={`M${band.join("L")}Z`} />}
      {hasGuarded && <path className={styles.guarded} d={`M${path((forecast) => forecast.guarded).join("L")}`} />}
      <path className={styles.path} d={`M${path((forecast) => forecast.cost).join("L")}`} />
    </>
  );
}

/** The marker's words stand to its right, where the bars are not, as long as there is room for them. */
function Breach({ column, plot, text }: { column: number; plot: Plot; text: string }) {
  const x = plot.x(column);
  const isRight = plot.right - x > WORDS_WIDTH;
  return (
    <>
      <line className={styles.breach} x1={x} x2={x} y1={plot.top} y2={plot.bottom} />
      <text className={styles.words} data-side={isRight ? "right" : undefined} x={x + (isRight ? 4 : -4)} y={plot.top + 9}>
        {text}
      </text>
    </>
  );
}

function Table({ days, format, hasForecast }: { days: SpendDay[]; format: (value: number) => string; hasForecast: boolean }) {
  const said = (value: number | null | undefined) => (value === null || value === undefined ? UNKNOWN : format(value));
  return (
    <div className="visually-hidden">
      <table>
        <caption>Cost by day, and what is expected</caption>
        <thead>
          <tr>
            <th scope="col">day</th>
            {PARTS.map((part) => (
              <th key={part.name} scope="col">
                {part.label}
              </th>
            ))}
            <th scope="col">sum</th>
            {hasForecast && <th scope="col">expected, from, to</th>}
          </tr>
        </thead>
        <tbody>
          {days.map((day) => (
            <tr key={day.day}>
              <th scope="row">
                {longDay(day.day)}
                {day.isToday && ", so far"}
              </th>
              {PARTS.map((part, index) => (
                <td key={part.name}>{day.amounts.length === 0 ? "to come" : said(day.amounts[index])}</td>
              ))}
              <td>{day.amounts.length === 0 ? "to come" : said(totalOf(day.amounts))}</td>
              {hasForecast && (
                <td>{day.forecast === null ? "past" : `${said(day.forecast.cost)}, ${said(day.forecast.low)}, ${said(day.forecast.high)}`}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
