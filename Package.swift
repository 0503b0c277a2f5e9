// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// The house, in layer order: a target may import only what stands in its own dependency list (docs/ARCHITECTURE.md).
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

/// The data path. Exclusive access is checked by the compiler always and at run time in debug builds (`make sanitize`);
/// in release the run-time checks are left out: they were a seventh of the server's time per command.
let dataPath: [SwiftSetting] = [
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

/// Swift's own Glibc module with the GNU extensions: fallocate, SEEK_DATA.
let gnu: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-D_GNU_SOURCE"])]

/// Tests expand `#expect` to code that the memory-safety checker flags; everything else stays as strict.
let tests: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// C sources find tcmu-runner's headers under their own names, as with `pkg-config --cflags martlet-handler`.
let c: [CSetting] = [
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-Wall", "-Wextra", "-std=gnu11"]),
    .unsafeFlags(["-I\(Context.packageDirectory)/Sources/HandlerABI/include/tcmu-runner"]),
]

/// Exports the tcmu-runner symbols, and nothing else, from every executable that links the host.
let exportHandlerSymbols: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "--dynamic-list=\(Context.packageDirectory)/Sources/CHandlerHost/exports.list"])
]

/// Installed programs find Swift's run-time libraries beside themselves, on machines without a toolchain too. No test
/// may depend on a target with these: its bundle would lose the toolchain's.
func runPath(_ folder: String) -> [LinkerSetting] {
    [.unsafeFlags(["-no-toolchain-stdlib-rpath", "-Xlinker", "-rpath=\(folder)"], .when(configuration: .release))]
}

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "HandlerKit", targets: ["HandlerKit"]),
        .library(name: "HandlerConformance", targets: ["HandlerConformance"]),
        // For Benchmarks/micro.
        .library(name: "DataPath", targets: ["SCSI", "ISCSI", "TargetCore", "HandlerHost"]),
        .library(name: "handler_ram", type: .dynamic, targets: ["handler_ram"]),
        .library(name: "handler_aio", type: .dynamic, targets: ["handler_aio"]),
        .library(name: "handler_file", type: .dynamic, targets: ["handler_file"]),
        .library(name: "handler_rbd", type: .dynamic, targets: ["handler_rbd"]),
        .library(name: "handler_uring", type: .dynamic, targets: ["handler_uring"]),
        // For tests; never installed.
        .library(name: "kitblocking", type: .dynamic, targets: ["kitblocking"]),
        .library(name: "kitasync", type: .dynamic, targets: ["kitasync"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Level 1: values and headers.
        .target(name: "SCSI", swiftSettings: strict),
        .target(name: "CDigest", cSettings: c),
        .target(name: "CLinux", cSettings: c),
        .target(name: "HandlerABI", cSettings: c),

        // Level 2: pure machines, the loop, the authors' kit.
        .target(name: "ISCSI", dependencies: ["SCSI", "CDigest"], swiftSettings: strict),
        .target(name: "ISNS", swiftSettings: strict),
        .target(name: "TargetCore", dependencies: ["SCSI"], swiftSettings: strict + dataPath),
        .target(name: "EventLoop", dependencies: ["CLinux"], swiftSettings: strict + dataPath),
        .target(name: "HandlerKit", dependencies: ["HandlerABI"], swiftSettings: strict),

        // Level 3: the edges.
        .target(
            name: "Transport", dependencies: ["EventLoop", "CLinux", "ISCSI", "SCSI", "TargetCore"],
            swiftSettings: strict + dataPath),
        .target(
            name: "CHandlerHost", dependencies: ["HandlerABI"], exclude: ["exports.list"], cSettings: c,
            linkerSettings: exportHandlerSymbols),
        .target(
            name: "HandlerHost", dependencies: ["HandlerABI", "CHandlerHost", "CLinux", "TargetCore", "SCSI"],
            swiftSettings: strict + dataPath),

        .target(
            name: "LoadGenerator",
            dependencies: [
                "EventLoop", "CLinux", "ISCSI", "SCSI", .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict + dataPath),

        // What `martlet check` does to a handler; the library is what tests of handlers import.
        .target(name: "CHandlerCheck", dependencies: ["HandlerABI", "CHandlerHost"], cSettings: c),
        .target(
            name: "HandlerCheck",
            dependencies: ["HandlerHost", "CHandlerHost", "CHandlerCheck", "HandlerABI", "CLinux", "TargetCore"],
            swiftSettings: strict),
        .target(name: "HandlerConformance", swiftSettings: strict),

        // Level 4 and 5.
        .target(name: "CCrypto", cSettings: c, linkerSettings: [.linkedLibrary("crypto")]),
        .target(
            name: "ControlPlane",
            dependencies: [
                "Transport", "HandlerHost", "EventLoop", "ISCSI", "ISNS", "TargetCore", "SCSI", "CLinux", "CCrypto",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
                .product(name: "FlyingFox", package: "FlyingFox"),
                .product(name: "FlyingSocks", package: "FlyingFox"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "ControlPlane", "LoadGenerator", "HandlerCheck",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict, linkerSettings: runPath("$ORIGIN/../lib/martlet/runtime")),

        // Plugins: loaded by path, never linked.
        .target(name: "CMediumFile", dependencies: ["HandlerABI"], path: "Plugins/medium", cSettings: c),
        .target(name: "handler_ram", dependencies: ["HandlerABI", "CMediumFile"], path: "Plugins/ram", cSettings: c),
        .target(
            name: "handler_uring", dependencies: ["HandlerABI", "CMediumFile"], path: "Plugins/uring", cSettings: c),
        .target(
            name: "handler_aio", dependencies: ["HandlerABI", "CMediumFile"], path: "Plugins/aio", cSettings: c,
            linkerSettings: [.linkedLibrary("aio")]),
        .target(
            name: "handler_rbd", dependencies: ["HandlerABI"], path: "Plugins/rbd", cSettings: c,
            linkerSettings: [.linkedLibrary("rbd"), .linkedLibrary("rados")]),
        .target(
            name: "handler_file", dependencies: ["HandlerABI", "HandlerKit"], path: "Plugins/file",
            swiftSettings: strict + gnu, linkerSettings: runPath("$ORIGIN/../runtime")),

        // Tests, in the same order.
        .testTarget(name: "SCSITests", dependencies: ["SCSI"], swiftSettings: tests),
        .testTarget(name: "ISCSITests", dependencies: ["ISCSI", "SCSI", "CDigest"], swiftSettings: tests),
        .testTarget(name: "ISNSTests", dependencies: ["ISNS"], swiftSettings: tests),
        .testTarget(name: "TargetCoreTests", dependencies: ["TargetCore", "SCSI"], swiftSettings: tests),
        .target(
            name: "PluginStore", dependencies: ["HandlerKit"], path: "Tests/Plugins/Store", swiftSettings: tests),
        .target(
            name: "kitblocking", dependencies: ["HandlerKit", "PluginStore"], path: "Tests/Plugins/Blocking",
            swiftSettings: tests),
        .target(
            name: "kitasync", dependencies: ["HandlerKit", "PluginStore"], path: "Tests/Plugins/Asynchronous",
            swiftSettings: tests),
        .target(name: "CSandbox", path: "Tests/CSandbox", cSettings: c),
        .testTarget(name: "EventLoopTests", dependencies: ["EventLoop", "CLinux", "CSandbox"], swiftSettings: tests),
        .testTarget(
            name: "TransportTests", dependencies: ["Transport", "EventLoop", "CLinux", "ISCSI", "TargetCore"],
            swiftSettings: tests),
        .testTarget(
            name: "LoadGeneratorTests", dependencies: ["LoadGenerator", "ISCSI", "SCSI"], swiftSettings: tests),
        .testTarget(name: "HandlerABITests", dependencies: ["HandlerABI", "CHandlerHost"], swiftSettings: tests),
        .target(name: "QcowImage", path: "Tests/QcowImage", swiftSettings: tests),
        .testTarget(
            name: "HandlerTests", dependencies: ["HandlerHost", "QcowImage", "TargetCore", "SCSI"],
            exclude: ["Handlers"],
            swiftSettings: tests),
        .testTarget(
            name: "HandlerCheckTests", dependencies: ["HandlerConformance", "QcowImage"], exclude: ["Faults"],
            swiftSettings: tests),
        .testTarget(
            name: "ControlPlaneTests",
            dependencies: ["ControlPlane", "EventLoop", "ISCSI", "ISNS", "Transport", "TargetCore", "SCSI"],
            swiftSettings: tests),
        .systemLibrary(
            name: "CLibiscsi", path: "Tests/CLibiscsi", pkgConfig: "libiscsi", providers: [.apt(["libiscsi-dev"])]),
        .target(
            name: "TestInitiator", dependencies: ["ISCSI", "SCSI"], path: "Tests/TestInitiator", swiftSettings: tests),
        .testTarget(
            name: "TestInitiatorTests", dependencies: ["TestInitiator", "ISCSI", "SCSI"], swiftSettings: tests),
        .testTarget(
            name: "InteroperabilityTests", dependencies: ["CLibiscsi", "CCrypto", "CSandbox", "TestInitiator"],
            swiftSettings: tests),
        .testTarget(name: "TidyTests", swiftSettings: tests),
    ]
)
