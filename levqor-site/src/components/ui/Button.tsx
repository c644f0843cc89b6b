import type { ButtonHTMLAttributes } from "react";

import styles from "./Button.module.css";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  tone?: "plain" | "primary" | "grave";
}

export function Button({ tone = "plain", type = "button", className = "", ...rest }: Props) {
  return <button {...rest} type={type} className={`${styles.button} ${styles[tone] ?? ""} ${className}`} />;
}
