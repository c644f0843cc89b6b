import styles from "./Sparkline.module.css";

const HEIGHT = 32;
const STEP = 10;
const MARGIN = 2;

interface Props {
  /** Oldest first; null is a gap. */
  values: readonly (number | null)[];
  /** What the line shows, for who cannot see it. */
  label: string;
}

/** A small line without axes. A single point between gaps is drawn as a dot. */
export function Sparkline({ values, label }: Props) {
  const known = values.filter((value): value is number => value !== null);
  const low = Math.min(0, ...known);
  const high = Math.max(...known, low + 1);
  const width = Math.max(1, values.length - 1) * STEP;
  const y = (value: number) => HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN);
  return (
    <svg className={styles.line} viewBox={`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={path(values, y)} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

function path(values: readonly (number | null)[], y: (value: number) => number): string {
  let isDown = false;
  return values
    .map((value, index) => {
      if (value === null) {
        isDown = false;
        return "";
      }
      const point = `${index * STEP} ${y(value).toFixed(1)}`;
      const isAlone = !isDown && (values[index + 1] ?? null) === null;
      const command = isDown ? "L" : "M";
      isDown = true;
      return isAlone ? `M${point}h0.1` : `${command}${point}`;
    })
    .join("");
}
