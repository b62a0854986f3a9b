// Holds what was said on the command line or in a file against the schema of the settings. What it tells
// is for files.

import Ajv from 'ajv';

import { parsePlace } from './place';
import { bytesOf } from './setting-kinds';
import { kConfigSchema, propertyOf, settingOf, type Property } from './settings';

export interface Problem {
  path: string[];    // From the top to the value; of an unknown name, to that name.
  isOfKey: boolean;  // The name is wrong, not the value.
  message: string;   // Completes "NAME ...".
}

let validator: Ajv.ValidateFunction | undefined;

function validate(values: unknown): Ajv.ErrorObject[] {
  if (validator === undefined) {
    const ajv = new Ajv({ allErrors: true, jsonPointers: true });
    ajv.addKeyword('byteSize', {
      validate: ({ minimum, maximum }: { minimum: number; maximum: number }, raw: unknown) => {
        const bytes = bytesOf(raw);
        return bytes !== undefined && bytes >= minimum && bytes <= maximum;
      },
    });
    ajv.addKeyword('listenPlace', {
      validate: (_: true, raw: unknown) => parsePlace(String(raw)) !== undefined,
    });
    validator = ajv.compile(kConfigSchema);
  }
  return validator(values) === true ? [] : validator.errors ?? [];
}

// One for each value that is wrong, in no order.
export function problemsWith(values: unknown): Problem[] {
  const problems = new Map<string, Problem>();
  for (const error of validate(values)) {
    const problem = problemOf(error);
    const key = problem.path.join('\0');
    if (!problems.has(key)) problems.set(key, problem);
  }
  return [...problems.values()];
}

function problemOf({ dataPath, keyword, params, propertyName }: Ajv.ErrorObject): Problem {
  const path = dataPath.split('/').slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (path.length === 0 && keyword !== 'additionalProperties') {
    return { path, isOfKey: false, message: 'must be settings, each as name: value' };
  }
  if (keyword === 'additionalProperties') {
    const { additionalProperty } = params as Ajv.AdditionalPropertiesParams;
    return { path: [additionalProperty], isOfKey: true, message: 'is no setting' };
  }
  const property = propertyOf(path[0] as string);
  const { expected, expectedInFile } = settingOf(property as Property);
  const key = propertyName ?? (params as { propertyName?: string }).propertyName;
  if (key !== undefined) path.push(key);
  return { path, isOfKey: key !== undefined, message: `must be ${expectedInFile ?? expected}` };
}
