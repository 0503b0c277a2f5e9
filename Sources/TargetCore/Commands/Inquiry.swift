// SPDX-License-Identifier: Apache-2.0

import SCSI

/// INQUIRY (SPC-4 6.6).
enum Inquiry {
    static let row = row { InquiryData($0) }

    /// Of a number without a logical unit: PERIPHERAL QUALIFIER 011b, device type 1Fh.
    static let absentRow = row { InquiryData(absent: $0) }

    private static let flagByte = 1
    private static let enableVPDMask: UInt8 = 0x01
    private static let pageCodeByte = 2
    private static let allocationLengthByte = 3

    private static func row(_ data: @escaping @Sendable (NexusUnit) -> InquiryData) -> CommandDescriptor {
        CommandDescriptor(
            name: "INQUIRY", opcode: .inquiry, usage: [enableVPDMask, 0xFF, 0xFF, 0xFF, 0x00],
            data: .toInitiator, traits: [.passesUnitAttention, .implicitHeadOfQueue], reservation: .always,
            plan: { task, _ throws(SenseData) in
                TransferPlan(toInitiator: Int(task.cdb.uint16(at: allocationLengthByte)))
            },
            perform: { task, nexus throws(SenseData) in try perform(task, data(nexus)) })
    }

    private static func perform(_ task: SCSITask, _ data: InquiryData) throws(SenseData) -> CommandDescriptor.Step {
        let pageCode = task.cdb[pageCodeByte]
        if task.cdb.isSet(enableVPDMask, inByte: flagByte) {
            var isKnown = false
            let step = task.respond { isKnown = data.pages.write(pageCode: pageCode, to: &$0) }
            guard isKnown else { throw .invalidFieldInCDB(byte: pageCodeByte) }
            return step
        }
        guard pageCode == 0 else { throw .invalidFieldInCDB(byte: pageCodeByte) }
        return task.respond { data.standard.write(to: &$0) }
    }
}

/// What INQUIRY tells of a unit, from its identity, its features and the nexus that asks.
struct InquiryData {
    let standard: StandardInquiryData
    let pages: VitalProductData

    init(_ nexus: NexusUnit) {
        let unit = nexus.unit
        let copies = ThirdPartyCopy.isSupported(by: unit)
        var standard = Self.standard(unit.identity, .disk, isProtected: unit.isProtected)
        standard.supportsThirdPartyCopy = copies
        standard.targetPortGroupSupport = unit.ports.options.support
        standard.hasMultiplePorts = unit.ports.all.count > 1
        standard.isRemovable = unit.options.isRemovable
        self.standard = standard
        var pages = VitalProductData(pages: [
            .unitSerialNumber(unit.identity.serial),
            .deviceIdentification(Self.designators(unit.identity, nexus)),
            .extendedInquiryData(Self.extended(unit)),
            .modePagePolicy([.allShared]),
            .ports(Self.ports(nexus)),
            .blockLimits(Self.limits(unit)),
            .blockDeviceCharacteristics(Self.characteristics(unit)),
            .logicalBlockProvisioning(Self.provisioning(unit)),
        ])
        if copies { pages.pages.append(.thirdPartyCopy(ThirdPartyCopy.page(of: unit))) }
        self.pages = pages
    }

    /// No vital product data but the list of none.
    init(absent nexus: NexusUnit) {
        standard = Self.standard(nexus.unit.identity, .none, isProtected: false)
        pages = VitalProductData(peripheral: .none, pages: [])
    }

    private static func standard(
        _ identity: LogicalUnitIdentity, _ peripheral: Peripheral, isProtected: Bool
    ) -> StandardInquiryData {
        var data = StandardInquiryData(
            vendor: identity.vendor, product: identity.product, revision: identity.revision)
        data.peripheral = peripheral
        data.supportsProtection = isProtected
        return data
    }

    /// Names of the unit, of the port that the command came through, and of the device behind both.
    static func designators(_ identity: LogicalUnitIdentity, _ unit: NexusUnit) -> [DesignationDescriptor] {
        let nexus = unit.nexus
        let port = nexus.targetPort
        let transport = nexus.protocolIdentifier
        var group: [DesignationDescriptor] = []
        if unit.unit.ports.isReported {
            group = [
                DesignationDescriptor(.targetPortGroup(port.group), of: .targetPort, protocol: transport)
            ]
        }
        return [
            DesignationDescriptor(.naaLocallyAssigned(identity.naa), of: .logicalUnit),
            DesignationDescriptor(
                .t10VendorID(vendor: identity.vendor, specific: identity.serial), of: .logicalUnit),
            DesignationDescriptor(
                .relativeTargetPort(port.relativeIdentifier), of: .targetPort, protocol: transport),
            DesignationDescriptor(.scsiNameString(nexus.targetPortName), of: .targetPort, protocol: transport),
            DesignationDescriptor(.scsiNameString(nexus.target.name), of: .targetDevice, protocol: transport),
        ] + group
    }

    /// Every target port that leads to the unit; that of the nexus by the name that its transport gave.
    private static func ports(_ nexus: NexusUnit) -> [SCSIPortDescription] {
        nexus.unit.ports.all.map { port in
            let isOwn = port.relativeIdentifier == nexus.nexus.targetPort.relativeIdentifier
            let name = isOwn ? nexus.nexus.targetPortName : port.name
            return SCSIPortDescription(
                relativeIdentifier: port.relativeIdentifier,
                designators: [
                    DesignationDescriptor(
                        .scsiNameString(name), of: .targetPort, protocol: nexus.nexus.protocolIdentifier)
                ])
        }
    }

    private static func extended(_ unit: LogicalUnit) -> ExtendedInquiryData {
        var page = ExtendedInquiryData()
        page.hasVolatileCache = unit.hasVolatileWriteCache
        page.protection = unit.protection?.type
        page.protectionChecks = unit.protection?.readChecks ?? []
        return page
    }

    private static func limits(_ unit: LogicalUnit) -> BlockLimits {
        var page = BlockLimits()
        page.maximumCompareAndWriteBlockCount = UInt8(clamping: CompareAndWriteCommand.maximumBlockCount(on: unit))
        if unit.physicalBlockExponent > 0 { page.optimalTransferGranularity = 1 << UInt16(unit.physicalBlockExponent) }
        page.maximumTransferBlockCount = UInt32(clamping: unit.maximumTransferBlockCount)
        page.optimalTransferBlockCount = min(
            unit.features.optimalTransferBlockCount, page.maximumTransferBlockCount)
        page.maximumAtomicTransferBlockCount = UInt32(WriteAtomicCommand.maximumBlockCount(on: unit))
        page.maximumWriteSameBlockCount = WriteSameCommands.maximumBlockCount(on: unit)
        if unit.features.canUnmap {
            page.maximumUnmapBlockCount = UnmapCommand.maximumBlockCount(on: unit)
            page.maximumUnmapDescriptorCount = UInt32(TargetLimits.unmapDescriptorCount)
            page.optimalUnmapGranularity = unit.features.unmapGranularity
            if unit.features.unmapGranularity > 0 {
                page.unmapGranularityAlignment = unit.features.unmapGranularityAlignment
            }
        }
        return page
    }

    private static func characteristics(_ unit: LogicalUnit) -> BlockDeviceCharacteristics {
        var page = BlockDeviceCharacteristics()
        if unit.features.isSolidState { page.rotation = .nonRotating }
        page.readsAfterBlockErase = !unit.isProtected && SanitizeCommands.canErase(unit)
        return page
    }

    private static func provisioning(_ unit: LogicalUnit) -> LogicalBlockProvisioning {
        var page = LogicalBlockProvisioning()
        guard unit.features.canUnmap else { return page }
        page.thresholdExponent = unit.thresholdExponent
        page.supportsUnmap = true
        page.supportsWriteSame16Unmap = true
        page.supportsWriteSame10Unmap = true
        page.unmappedRead = unit.features.unmappedReadsZero ? .zeroes : .unspecified
        page.provisioningType = .thin
        return page
    }
}
