// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Microbenchmarks of Martlet's parts, built and run by run.sh.
import PackageDescription

let package = Package(
    name: "micro",
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .target(name: "CMicro", cSettings: [.unsafeFlags(["-std=gnu11", "-Wall", "-Wextra", "-Werror"])]),
        .executableTarget(
            name: "micro", dependencies: ["CMicro", .product(name: "DataPath", package: "martlet")],
            swiftSettings: [
                .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
            ],
            linkerSettings: [.unsafeFlags(["-Xlinker", "--export-dynamic-symbol=micro_work"])]),
    ]
)
