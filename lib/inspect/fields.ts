/** Fields of the structs in docs/format.md, by name. */
import { layouts } from '../layout.generated';

export type StructName = keyof typeof layouts;
export type FieldName<S extends StructName> = Exclude<keyof (typeof layouts)[S], 'bytes'> & string;

/** A struct somewhere in `bytes`. What does not fit a safe integer is asked for with `big()`. */
export class Fields<S extends StructName> {
  constructor(
    private readonly struct: S,
    private readonly bytes: Buffer,
    private readonly base = 0,
  ) {}

  private place(field: FieldName<S>): readonly [number, number] {
    const layout = layouts[this.struct] as unknown as Record<string, readonly [number, number]>;
    return layout[field]!;
  }

  get(field: FieldName<S>): number {
    const [offset, byteLength] = this.place(field);
    return byteLength === 4
      ? this.bytes.readUInt32LE(this.base + offset)
      : Number(this.bytes.readBigUInt64LE(this.base + offset));
  }

  big(field: FieldName<S>): bigint {
    return this.bytes.readBigUInt64LE(this.base + this.place(field)[0]);
  }

  /** Up to its zero; what is not printable ASCII, which no honest domain writes, becomes `?`. */
  text(field: FieldName<S>): string {
    const [offset, byteLength] = this.place(field);
    const whole = this.bytes.toString('latin1', this.base + offset, this.base + offset + byteLength);
    return whole.split('\0', 1)[0]!.replace(/[^ -~]/g, '?');
  }

  /** A struct inside this one. */
  inner<T extends StructName>(field: FieldName<S>, struct: T): Fields<T> {
    return new Fields(struct, this.bytes, this.base + this.place(field)[0]);
  }
}
