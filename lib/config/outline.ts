import {z} from 'zod';
import {schema} from './schema.ts';

/** The schema as a tree of keys, for what reads it besides the parser: mistakes, the annotated example, the README's table. */
export interface Outline {
  readonly type: 'section' | 'list' | 'value';
  /** What a value must be, in words: `a whole number from 1 to 180`. */
  readonly expected: string;
  readonly description: string;
  /** As it would stand in a file; undefined where the key has none. */
  readonly default: unknown;
  /** An item, for lists that are empty by default. */
  readonly example: unknown;
  /** Read relative to the folder of the configuration file. */
  readonly path: boolean;
  /** Never shown, nor logged. */
  readonly secret: boolean;
  /** Keys of a section. */
  readonly keys: Readonly<Record<string, Outline>>;
  /** What keys beyond those named hold, in a section that takes them. */
  readonly others: Outline | undefined;
  /** What a list's items are. */
  readonly items: Outline | undefined;
}

/** JSON Schema as zod writes it, as far as it is used here. */
interface Node {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | false;
  readonly items?: Node;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
  readonly default?: unknown;
  readonly expected?: string;
  readonly example?: unknown;
  readonly path?: boolean;
  readonly secret?: boolean;
}

/** The configuration's outline. */
export const outline: Outline = outlineOf(z.toJSONSchema(schema, {io: 'input', reused: 'inline'}) as Node);

/** The outline at a path of keys; list positions stand for the list's items. Undefined where the schema has no such key. */
export function outlineAt(path: readonly PropertyKey[], root: Outline = outline): Outline | undefined {
  return path.reduce<Outline | undefined>(
    (at, key) => (at?.type === 'list' ? at.items : (at?.keys[String(key)] ?? at?.others)),
    root,
  );
}

/** The outline of another schema: that of a plugin's options. Undefined where it cannot be told. */
export function outlineOfSchema(of: z.ZodType): Outline | undefined {
  try {
    return outlineOf(z.toJSONSchema(of, {io: 'input', reused: 'inline', unrepresentable: 'any'}) as Node);
  } catch {
    // Of another version of zod: its own words stand in for ours.
    return undefined;
  }
}

function outlineOf(node: Node): Outline {
  return {
    type: node.type === 'object' ? 'section' : node.type === 'array' ? 'list' : 'value',
    expected: expectedOf(node),
    description: node.description ?? '',
    default: node.default,
    example: node.example,
    path: node.path ?? false,
    secret: node.secret ?? false,
    keys: Object.fromEntries(Object.entries(node.properties ?? {}).map(([key, of]) => [key, outlineOf(of)])),
    others: typeof node.additionalProperties === 'object' ? outlineOf(node.additionalProperties) : undefined,
    items: node.items === undefined ? undefined : outlineOf(node.items),
  };
}

function expectedOf(node: Node): string {
  if (node.expected !== undefined) return node.expected;
  if (node.enum !== undefined) return node.enum.join(' or ');
  switch (node.type) {
    case 'integer':
      return `a whole number from ${node.minimum ?? 0} to ${node.maximum ?? 0}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return node.items === undefined ? 'a list' : `a list, each ${expectedOf(node.items)}`;
    case 'object':
      return `a section with ${Object.keys(node.properties ?? {}).join(', ')}`;
    default:
      return 'a text';
  }
}
