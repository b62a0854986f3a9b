# iolite_core       floors base..http: C++20 without Node, exceptions or RTTI
# io-lite-launcher  starts programs for a server (lib/cgi/launcher.ts); lies beside the addon
# io-lite           the addon: src-native/node on top of the core
# native_tests, head_parser_tool   only with -Dbuild_native_tests=1
#                   (scripts/native-tests.mjs builds the same without gyp, also under sanitizers)
#
# Sources are found by folder: a new .cc file needs no entry here.
{
  "variables": {
    "sanitizer%": "",
    "build_native_tests%": 0,
    "core_floors": [
      "base", "sys", "window", "pool", "aggregate", "channel", "cache", "net", "io", "http",
      "launcher"
    ]
  },
  "target_defaults": {
    # Why not include_dirs: <sys/socket.h> must be the system's, not the one of our floor sys/.
    "cflags": [
      "-iquote../src-native", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-fno-lto"
    ],
    "cflags!": ["-O3"],
    # Why exclude: Node 20 asks for C++17; an exclusion of gnu++20 would remove our own, too.
    "cflags_cc!": ["-std=gnu++17"],
    "cflags_cc": ["-std=gnu++20"],
    "conditions": [
      ["sanitizer!=''", {
        "cflags": ["-g", "-fno-omit-frame-pointer", "-fsanitize=<(sanitizer)"],
        "ldflags": ["-fsanitize=<(sanitizer)"],
        "defines": ["IOL_DEBUG"]
      }]
    ]
  },
  "targets": [
    {
      "target_name": "iolite_core",
      "type": "static_library",
      "sources": ["<!@(node scripts/list-sources.cjs <(core_floors))"],
      "cflags": ["-fPIC"]
    },
    {
      "target_name": "io-lite",
      "sources": ["<!@(node scripts/list-sources.cjs node)"],
      "dependencies": [
        "iolite_core",
        "<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all"
      ],
      # Why 9: a NAPI_VERSION=10 addon ends Node 20 with a bare SIGSEGV.
      "defines": [
        "NAPI_VERSION=9",
        "IOL_VERSION=\"<!(node -p \"require('./package.json').version\")\""
      ],
      # Why nodelete: the SIGSEGV handler must outlive the worker that loaded the addon.
      "ldflags": ["-Wl,-z,nodelete", "-fno-lto"]
    },
    {
      "target_name": "io-lite-launcher",
      "type": "executable",
      "sources": ["src-native/launcher/main.cc"],
      "dependencies": ["iolite_core"],
      "cflags": ["-ffunction-sections"],
      "ldflags": ["-Wl,--gc-sections", "-fno-lto"]
    }
  ],
  "conditions": [
    ["build_native_tests==1", {
      "targets": [
        {
          "target_name": "native_tests",
          "type": "executable",
          "sources": ["<!@(node scripts/list-sources.cjs --tests)"],
          "dependencies": ["iolite_core"]
        },
        {
          "target_name": "head_parser_tool",
          "type": "executable",
          "sources": ["test/native/head_parser_tool.cc"],
          "dependencies": ["iolite_core"]
        }
      ]
    }]
  ]
}
