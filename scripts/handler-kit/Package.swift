// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// What an author of a handler in Swift needs of Martlet. scripts/assemble.sh puts the sources beside this file.
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
    name: "handler-kit",
    products: [
        .library(name: "HandlerKit", targets: ["HandlerKit"]),
        // For tests of handlers in any language.
        .library(name: "HandlerConformance", targets: ["HandlerConformance"]),
    ],
    targets: [
        .target(name: "HandlerABI"),
        .target(name: "HandlerKit", dependencies: ["HandlerABI"], swiftSettings: strict),
        .target(name: "HandlerConformance", swiftSettings: strict),
    ]
)
