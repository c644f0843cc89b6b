import styles from "./Legend.module.css";

export interface Key {
  label: string;
  /** Which colour: 1 to 4, the limit's, or a quiet one. */
  series: number | "limit" | "quiet";
  shape: "line" | "dashed" | "block";
  /** The newest figure, in words. */
  value?: string | undefined;
}

/** What the lines and blocks of a picture stand for. */
export function Legend({ keys }: { keys: readonly Key[] }) {
  return (
    <ul className={styles.legend}>
      {keys.map((key) => (
        <li key={key.label}>
          <svg className={styles.swatch} viewBox="0 0 14 10" aria-hidden="true" data-series={key.series}>
            {key.shape === "block" ? <rect width="10" height="10" x="2" /> : <path d="M0 5h14" data-dashed={key.shape === "dashed" || undefined} />}
          </svg>
          {key.label}
          {key.value !== undefined && <strong>{key.value}</strong>}
        </li>
      ))}
    </ul>
  );
}
